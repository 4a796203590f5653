// The calls of the app: those on the screen of the system, and their media.
import { newID, type Client } from 'beckon';
import type { ScreenCall } from 'beckon/native';
import { Media } from './media';
import { phone } from './phone';

const media = new Media();

/** Ends a call on this device: its media, its room, and its place on the screen. */
async function end(client: Client, call: ScreenCall): Promise<void> {
  phone.hangUp(call.inviteID);
  await media.leave();
  if (call.phase === 'calling') await client.cancel({ inviteID: call.inviteID });
  else if (call.roomID) await client.exitRoom({ roomID: call.roomID });
}

/**
 * Follows the calls of a session: media begins with the answer, and ends with the call. open shows a conversation. The
 * returned function ends it.
 */
export function followCalls(client: Client, open: (conversationID: string) => void): () => void {
  const failed = (err: unknown): void => console.warn('the call failed', err);
  const enter = async (
    call: ScreenCall,
    entry = undefined as Parameters<Media['enter']>[0] | undefined,
  ): Promise<void> => {
    if (!call.roomID) return;
    // The answer of a push brings the entry; otherwise the client asks for it, once it is connected.
    await media.enter(
      entry ?? (await client.enterRoom({ roomID: call.roomID })),
      () => void end(client, call).catch(failed),
    );
  };
  const offs = [
    phone.on('onAnswered', ({ call, room }) => {
      open(call.conversationID);
      enter(call, room).catch(failed);
    }),
    phone.on('onConnected', ({ call }) => void enter(call).catch(failed)),
    phone.on('onHangUp', ({ call }) => void end(client, call).catch(failed)),
    phone.on('onMuted', ({ muted }) => void media.mute(muted).catch(failed)),
    phone.on('onHeld', ({ held }) => void media.mute(held).catch(failed)),
    phone.on('onCallEnded', ({ call, reason }) => console.log(`the call of ${call.name} ended: ${reason}`)),
    phone.on('onOpenConversation', ({ conversationID }) => open(conversationID)),
    phone.on('onError', ({ error }) => console.warn(error)),
  ];
  const answered = phone.calls.find((c) => c.phase === 'active'); // before this view was there
  if (answered) {
    open(answered.conversationID);
    enter(answered).catch(failed);
  }
  return () => offs.forEach((off) => off());
}

/** Calls a user: the other phone rings by CallKit, also when its app is killed. */
export async function call(client: Client, userID: string): Promise<void> {
  const [inviteID, roomID] = [newID(), newID()];
  phone.startCall({ inviteID, roomID, userID, name: userID });
  try {
    const offlinePush = { title: client.userID, body: 'calls you', voip: true };
    const data = JSON.stringify({ call: 1, media: 'audio' });
    await client.invite({ inviteID, roomID, invitee: userID, timeout: 30, minRing: 5, data, offlinePush });
  } catch (err) {
    phone.hangUp(inviteID, 'failed');
    throw err;
  }
}
