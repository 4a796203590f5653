// The dialog that invites more users into a call of two.
import { useState, type FormEvent, type ReactNode } from 'react';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useObservable, useSession, useText } from '../use.js';
import { userIDsIn } from './user-ids.js';

/** Users of the latest conversations that are offered. */
const maxOffered = 8;

export function AddToCall({ without, onClose }: { without: readonly string[]; onClose: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const list = useObservable(s.conversations);
  const [text, setText] = useState('');
  const invite = (users: string[]): void => {
    const others = users.filter((u) => u !== s.me && !without.includes(u));
    if (!others.length) return;
    s.calls.inviteMore(others).catch((err: unknown) => s.fail(err, 'failed.inviteMore'));
    onClose();
  };
  const offered = (list ?? []).flatMap((c) => (c.userID && !without.includes(c.userID) ? [c.userID] : []));
  return (
    <Dialog title={t('call.addPeople')} ofCall onClose={onClose}>
      <ul className="picks">
        {offered.slice(0, maxOffered).map((u) => (
          <li key={u}>
            <button type="button" className="item" onClick={() => invite([u])}>
              <UserAvatar userID={u} size={36} />
              <span>
                <Name id={u} />
              </span>
            </button>
          </li>
        ))}
      </ul>
      <form
        onSubmit={(e: FormEvent) => {
          e.preventDefault();
          invite(userIDsIn(text));
        }}
      >
        <label>
          {t('members.theirIDs')}
          <input value={text} onChange={(e) => setText(e.target.value)} placeholder="bob, carol" autoComplete="off" />
        </label>
        <Button tone="main" type="submit" disabled={!text.trim()}>
          {t('call.invite')}
        </Button>
      </form>
    </Dialog>
  );
}
