// An app server: it rings a user over HTTP, with the API key and without a connection, and reads the outcome. It prints:
//
//    app server: bob has 1 device connected
//    bob: doorbell calls: a parcel
//    app server: bob rejected (busy)
import { call, device } from './env.js';

const bob = device('bob');
await bob.connect();
const rings = bob.once('onReceiveNewInvitation');

const { inviteID, reach } = await call('doorbell', 'invite', { invitee: 'bob', data: 'a parcel', timeout: 30 });
console.log(`app server: bob has ${reach?.[0]?.devices} device connected`);

const ring = await rings;
console.log(`bob: ${ring.inviter} calls: ${ring.data}`);
await bob.reject({ inviteID: ring.inviteID, reason: 'busy' });

// An app server that waits for an answer subscribes to webhooks; this one reads the invitation once.
const { invitation } = await call('doorbell', 'getInvitation', { inviteID });
for (const i of invitation?.invitees ?? []) console.log(`app server: ${i.userID} ${i.state} (${i.reason})`);

bob.close();
