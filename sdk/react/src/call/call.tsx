// The layer of the call above the page: an incoming call, or the call in progress, and why it ended.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { CallState, EndReason } from 'beckon/call';
import { Ongoing, preloadOngoing } from '../later.js';
import type { Session } from '../session.js';
import type { TextKey } from '../text/text.js';
import { useCall, useSession } from '../use.js';
import { useAttention } from './attention.js';
import { Incoming } from './incoming.js';
import { OtherInvitations } from './invitations.js';
import { useTone } from './sounds.js';

const endings: Record<Exclude<EndReason, 'mediaLost' | 'hangup'>, TextKey> = {
  remoteHangup: 'ended.remote',
  declined: 'ended.declined',
  busy: 'ended.busy',
  noAnswer: 'ended.noAnswer',
  cancelled: 'ended.cancelled',
  elsewhere: 'ended.elsewhere',
  lost: 'ended.lost',
  failed: 'ended.failed',
};

/** Shows why audio and video failed on this side, or that they were lost, with a button that calls again. */
function mediaLost(s: Session, { people, links, groupID, media }: CallState, error: Error | undefined): void {
  const all = Object.keys(people);
  const lost = all.filter((u) => links[u] === 'lost');
  const users = lost.length ? lost : all;
  const run = (): void => {
    const to = groupID ? { groupID, userIDs: users } : { userIDs: users };
    s.calls.call(to, { media }).catch((err: unknown) => s.fail(err, 'failed.call'));
  };
  if (error) return s.toast(error.message, 'error');
  const names = s.translator.get().list(users.map((u) => s.name(u)));
  s.toast(s.text('ended.mediaLost', { names }), 'error', { label: s.text('call.again'), run });
}

/** Shows the end of a call. */
function ended(s: Session, reason: EndReason, error: Error | undefined, state: CallState, rang: boolean): void {
  if (reason === 'mediaLost') return mediaLost(s, state, error);
  if (reason === 'hangup' || (state.phase === 'ringing' && reason === 'elsewhere')) return;
  if (reason === 'failed' && error) return s.fail(error, 'ended.failed');
  const text = reason === 'noAnswer' && !rang ? 'ended.unreachable' : endings[reason];
  s.toast(s.text(text), reason === 'lost' ? 'error' : 'info');
}

/** Shows calls above the page: put it once into an application, beside everything else. */
export function CallLayer(): ReactNode {
  const s = useSession();
  const call = useCall();
  const [problems, setProblems] = useState<string[]>([]);
  const rang = useRef(''); // the last invitation that a device of an invitee has shown
  const outgoing = call.phase === 'calling' && Object.values(call.people).includes('ringing');
  useEffect(() => {
    if (outgoing) rang.current = call.inviteID;
  }, [outgoing, call.inviteID]);
  useEffect(
    () =>
      s.calls.on('onCallEnded', ({ reason, error, state }) => {
        setProblems([]);
        s.floating.set(false);
        ended(s, reason, error, state, rang.current === state.inviteID);
      }),
    [s],
  );
  useEffect(
    () =>
      s.calls.on('onDeviceError', ({ device, error }) => {
        const values = { device, message: error.message };
        const text =
          error.name === 'NotAllowedError'
            ? s.text('device.forbidden', values)
            : s.text(error.name === 'NotFoundError' ? 'device.missing' : 'device.broken', values);
        setProblems((before) => [...before, text]);
      }),
    [s],
  );
  const idle = call.phase === 'idle';
  useEffect(() => {
    if (!idle) preloadOngoing();
  }, [idle]);
  useTone(outgoing ? 'outgoing' : undefined);
  useAttention(call);
  return (
    <>
      {call.phase === 'ringing' && <Incoming call={call} />}
      {call.phase !== 'idle' && call.phase !== 'ringing' && (
        <Ongoing call={call} problems={problems} onSeen={() => setProblems([])} />
      )}
      <OtherInvitations />
    </>
  );
}
