// The dialog that selects members of a group; the first 8 are selected at first.
import { useEffect, useEffectEvent, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useSession, useText } from '../use.js';

export function PickMembers({
  groupID,
  title,
  action,
  without,
  ofCall = false,
  onPick,
  onClose,
}: {
  groupID: string;
  title: string;
  action: string;
  without: string[];
  ofCall?: boolean;
  onPick: (users: string[]) => void;
  onClose: () => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const [all, setAll] = useState<string[]>();
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const show = useEffectEvent((members: Schemas['Member'][]) => {
    const others = members.map((m) => m.userID).filter((u) => u !== s.me && !without.includes(u));
    setAll(others);
    setChosen(new Set(others.slice(0, 8)));
  });
  const fail = useEffectEvent((err: unknown) => {
    s.fail(err, 'failed.members');
    onClose();
  });
  useEffect(() => {
    s.client.getGroupMemberList({ groupID, limit: 200 }).then(
      ({ members }) => show(members),
      (err: unknown) => fail(err),
    );
  }, [s, groupID]);
  const toggle = (u: string): void =>
    setChosen((c) => {
      const n = new Set(c);
      if (!n.delete(u)) n.add(u);
      return n;
    });
  return (
    <Dialog title={title} onClose={onClose} ofCall={ofCall}>
      <ul className="picks">
        {all?.map((u) => (
          <li key={u}>
            <label>
              <input type="checkbox" checked={chosen.has(u)} onChange={() => toggle(u)} />
              <UserAvatar userID={u} size={36} />
              <span>
                <Name id={u} />
              </span>
            </label>
          </li>
        ))}
      </ul>
      {all?.length === 0 && <p className="muted">{t('members.nobody')}</p>}
      <Button
        tone="main"
        disabled={chosen.size === 0}
        onClick={() => {
          onPick([...chosen]);
          onClose();
        }}
      >
        {action} ({chosen.size})
      </Button>
    </Dialog>
  );
}
