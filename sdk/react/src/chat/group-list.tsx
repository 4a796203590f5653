import type { ReactNode } from 'react';
import { Avatar } from '../ui/avatar.js';
import { useObservable, useSession, useText } from '../use.js';

/** The properties of a GroupList. */
export interface GroupListProps {
  /** The classrooms, or the chat rooms, of this user. */
  kind: 'class' | 'room';
  /** The group that is open. */
  current?: string;
}

/** The classrooms or chat rooms of a user. */
export function GroupList({ kind, current }: GroupListProps): ReactNode {
  const s = useSession();
  const t = useText();
  const groups = useObservable(s.groups);
  const list = groups?.filter((g) => (kind === 'room') === (g.type === 'AVChatRoom') && g.type !== 'Work');
  if (!list) return <p className="muted pad">{t('groups.loading')}</p>;
  if (list.length === 0) return <p className="muted pad">{t(kind === 'room' ? 'rooms.none' : 'classes.none')}</p>;
  return (
    <ul className="list">
      {list.map((g) => (
        <li key={g.groupID}>
          <button
            type="button"
            className="item"
            aria-current={g.groupID === current ? 'page' : undefined}
            onClick={() => s.navigate({ kind, id: g.groupID })}
          >
            <Avatar id={g.groupID} name={g.name || g.groupID} square />
            <span className="text">
              <strong>{g.name || g.groupID}</strong>
              <span className="muted">{t('members.count', { count: g.members })}</span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
