// Invitations that are no calls of these components: of other programs, and of an application of its own.
import { useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { readScene } from '../chat/scene.js';
import { UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useEvent, useName, useNow, useSession, useText } from '../use.js';
import { useHiddenNotice } from './attention.js';
import { useTone, useTurn } from './sounds.js';

/** An invitation that waits for this user's answer. */
interface Waiting {
  inviteID: string;
  inviter: string;
  data: string;
  deadline: number;
}

/** Reports whether no component has a scene for an invitation. */
function isOther(data: string | undefined): boolean {
  const d = readScene(data);
  return !d.call && !d.join && !d.scene;
}

/** Shows the first of the invitations that wait. */
export function OtherInvitations(): ReactNode {
  const s = useSession();
  const [list, set] = useState<Waiting[]>([]);
  const drop = (inviteID: string): void => set((l) => l.filter((w) => w.inviteID !== inviteID));
  const add = (v: Waiting): void => {
    set((l) => [...l.filter((w) => w.inviteID !== v.inviteID), v]);
    s.client.ring({ inviteID: v.inviteID }).catch(() => undefined); // over already: its end follows
  };
  const open = (v: Schemas['Invitation']): boolean =>
    v.inviter !== s.me &&
    isOther(v.data) &&
    (v.invitees?.some((p) => p.userID === s.me && p.state === 'open') ?? false);
  useEvent('onConnected', ({ invitations }) => {
    for (const v of invitations) if (open(v)) add({ ...v, data: v.data ?? '', deadline: v.deadline ?? 0 });
  });
  useEvent('onReceiveNewInvitation', (e) => {
    if (e.inviter === s.me || !isOther(e.data) || !e.inviteeList.includes(s.me)) return;
    s.client.getInvitation({ inviteID: e.inviteID }).then(
      ({ invitation: v }) => v && open(v) && add({ ...v, data: v.data ?? '', deadline: v.deadline ?? 0 }),
      () => undefined, // over already
    );
  });
  useEvent('onInvitationCancelled', (e) => e.inviteeList.includes(s.me) && drop(e.inviteID));
  useEvent('onInvitationTimeout', (e) => e.inviteeList.includes(s.me) && drop(e.inviteID));
  useEvent('onInvitationHandledByOtherDevice', (e) => drop(e.inviteID));
  useEffect(
    () =>
      s.client.on('onResponse', ({ method, request }) => {
        if (method === 'accept' || method === 'reject') drop(String((request as { inviteID?: string }).inviteID));
      }),
    [s],
  );
  const first = list[0];
  return first ? <OtherInvitation key={first.inviteID} v={first} onOver={() => drop(first.inviteID)} /> : null;
}

function OtherInvitation({ v, onOver }: { v: Waiting; onOver: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const name = useName(v.inviter);
  const now = useNow(true);
  const [quiet, setQuiet] = useState(false); // Escape silences; it does not decline
  const turn = useTurn(`beckon.ring ${s.me}`);
  useTone(quiet || !turn ? undefined : 'incoming');
  useHiddenNotice(v.inviteID, t('invitation'), t('invitation.from', { name }), turn);
  const left = v.deadline ? Math.max(0, Math.ceil((v.deadline - now) / 1000)) : 0;
  const answer = (accept: boolean): void => {
    onOver();
    const { inviteID } = v;
    (accept ? s.client.accept({ inviteID }) : s.client.reject({ inviteID, reason: 'declined' })).then(
      () => accept && s.toast(t('invitation.accepted')),
      (err: unknown) => s.fail(err, 'failed.answerSent'),
    );
  };
  return (
    <Dialog title={t('invitation')} className="incoming" onClose={() => setQuiet(true)}>
      <div className="caller">
        <span className="pulse">
          <UserAvatar userID={v.inviter} size={88} />
        </span>
        <h3>{name}</h3>
        <p className="muted">
          {t('invitation.invites')}
          {left > 0 && <> · {t('seconds', { count: left })}</>}
        </p>
        {v.data && (
          <p className="data" dir="auto">
            {v.data}
          </p>
        )}
      </div>
      <div className="actions">
        <Button tone="stop" onClick={() => answer(false)}>
          {t('decline')}
        </Button>
        <Button tone="go" onClick={() => answer(true)}>
          {t('invitation.accept')}
        </Button>
      </div>
    </Dialog>
  );
}
