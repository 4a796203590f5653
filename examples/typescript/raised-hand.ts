// A raised hand in a classroom: the teacher invites all students, an accept is a raised hand, and the teacher's cancel
// lowers all hands. It prints:
//
//    teacher: ann raised a hand
//    ben: ann raised a hand
//    ben: hands are lowered
import { device } from './env.js';

const [teacher, ann, ben] = [device('teacher'), device('ann'), device('ben')];
await Promise.all([teacher.connect(), ann.connect(), ben.connect()]);

const hands = [teacher.once('onInviteeAccepted'), ben.once('onInviteeAccepted')];
const lowered = ben.once('onInvitationCancelled');
const { group } = await teacher.createGroup({ type: 'Public', memberList: ['ann', 'ben'] });
const { inviteID } = await teacher.inviteInGroup({
  groupID: group.groupID,
  everyone: true,
  timeout: 120,
  data: JSON.stringify({ scene: 'hands' }),
});
await ann.accept({ inviteID });
const [first, second] = await Promise.all(hands);
console.log(`teacher: ${first!.invitee} raised a hand`);
console.log(`ben: ${second!.invitee} raised a hand`);

await teacher.cancel({ inviteID });
await lowered;
console.log('ben: hands are lowered');

for (const client of [teacher, ann, ben]) client.close();
