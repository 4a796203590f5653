// A call between two users: alice invites bob, and bob accepts. It prints:
//
//    bob: alice calls: dinner?
//    alice: bob accepted: at eight
import { device } from './env.js';

const [alice, bob] = [device('alice'), device('bob')];
await Promise.all([alice.connect(), bob.connect()]);
const rings = bob.once('onReceiveNewInvitation'); // a program that goes on uses on, with a function
const accepted = alice.once('onInviteeAccepted');

await alice.invite({ invitee: 'bob', data: 'dinner?', timeout: 30 });
const ring = await rings;
console.log(`bob: ${ring.inviter} calls: ${ring.data}`);
await bob.accept({ inviteID: ring.inviteID, data: 'at eight' });
const { invitee, data } = await accepted;
console.log(`alice: ${invitee} accepted: ${data}`);

alice.close();
bob.close();
