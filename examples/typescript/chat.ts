// A chat: alice sends bob a message, bob reads the history of the conversation and marks it read, and alice receives a
// read receipt. It prints:
//
//    bob: alice writes: hello
//    bob: the newest message is: hello
//    alice: bob has read c2c_bob
import { getSignalingInfo, type Schemas } from 'beckon';
import { device } from './env.js';

const [alice, bob] = [device('alice'), device('bob')];
await Promise.all([alice.connect(), bob.connect()]);

const received = bob.once('onReceiveMessage');
await alice.sendMessage({ userID: 'bob', text: 'hello' });
const { conversationID, message } = await received;
console.log(`bob: ${message.from} writes: ${message.text}`);

const { messages } = await bob.getHistoryMessageList({ conversationID, limit: 1 });
const newest = messages[0]!.event; // a message, or an action of an invitation
if (!getSignalingInfo(newest)) console.log(`bob: the newest message is: ${(newest as Schemas['Message']).text}`);

const read = alice.once('onPeerRead');
await bob.markConversationRead({ conversationID });
console.log(`alice: bob has read ${(await read).conversationID}`);

alice.close();
bob.close();
