// An app server: it creates a token for a device, invites for a user, and receives webhooks. Start the server with
//
//    beckon dev --webhook http://127.0.0.1:9000 --webhook-secret "$BECKON_WEBHOOK_SECRET"
//
// where the secret is the output of: echo whsec_$(openssl rand -base64 32). It prints:
//
//    bob has a token
//    invitation.created: doorbell calls: a parcel
//    invitation.answered: bob accepted: coming
import { createServer } from 'node:http';
import { toNode, webhookHandler } from 'beckon/server';
import { server } from './env.js';

const [host, port] = (process.env.LISTEN ?? '127.0.0.1:9000').split(':');
const hooks = webhookHandler(process.env.BECKON_WEBHOOK_SECRET!, (event) => {
  if (event.type === 'invitation.created') {
    console.log(`${event.type}: ${event.data.inviter} calls: ${event.data.data}`);
  } else if (event.type === 'invitation.answered') {
    for (const a of event.data.answers ?? []) console.log(`${event.type}: ${a.invitee} accepted: ${a.data}`);
    receiver.close();
  }
});
const handle = toNode(hooks);
const receiver = createServer((request, response) => void handle(request, response)).listen(Number(port), host);

const { token } = await server.createToken({ userID: 'bob' });
if (token) console.log('bob has a token');
const { inviteID } = await server.as('doorbell').invite({ invitee: 'bob', data: 'a parcel', timeout: 30 });
// A device of bob would answer; an app server may too.
await server.as('bob').accept({ inviteID, data: 'coming' });
