// Mentions of group members: a name after an @.
import { useEffect, useState, type ReactNode } from 'react';
import { UserAvatar } from '../ui/avatar.js';
import { useSession, useText } from '../use.js';

/** A member that can be mentioned. */
export interface Mentionable {
  userID: string;
  name: string;
}

/** The members of a group that can be mentioned, and whether this user may mention all at once. */
export interface Mentionables {
  list: readonly Mentionable[];
  all: boolean;
}

/** The lowest role that may mention all members of a group that has roles. */
const administrator = 300;

/** Members that the picker offers at once. */
const maxOffered = 6;

/** Returns the members of a group by their names, loaded when they are needed. */
export function useMembers(groupID: string, needed: boolean): Mentionables {
  const s = useSession();
  const [members, set] = useState<Mentionables>({ list: [], all: false });
  useEffect(() => {
    if (!groupID || !needed) return;
    let current = true;
    s.client
      .getGroupMemberList({ groupID, limit: 200 })
      .then(async ({ members }) => {
        const own = members.find((m) => m.userID === s.me)?.role ?? 0;
        const all = s.group(groupID)?.type === 'Work' || own >= administrator;
        const cards = new Map(members.map((m) => [m.userID, m.nameCard ?? '']));
        const userIDList = [...cards.keys()].filter((u) => u !== s.me).slice(0, 100);
        const { profiles } = userIDList.length ? await s.client.getUsersInfo({ userIDList }) : { profiles: [] };
        const names = profiles.map(({ userID, nick }) => ({ userID, name: cards.get(userID) || nick || userID }));
        if (current) set({ list: names, all });
      })
      .catch(() => undefined); // then no name is offered
    return () => {
      current = false;
    };
  }, [s, groupID, needed]);
  return members;
}

/** Returns the text between an @ and the caret; undefined if there is none. */
export function wordBefore(text: string, caret: number): string | undefined {
  return /(?:^|\s)@([^\s@]{0,30})$/.exec(text.slice(0, caret))?.[1];
}

/** Returns the fields of a message for the names in its text. */
export function mentionsIn(
  text: string,
  members: Mentionables,
  all: string,
): { mentions?: string[]; mentionAll?: true } {
  const has = (name: string): boolean =>
    new RegExp(`(^|\\s)@${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\p{L}\\p{N}_])`, 'u').test(text);
  const found = members.list.filter((m) => has(m.name)).map((m) => m.userID);
  return {
    ...(found.length ? { mentions: found } : {}),
    ...(members.all && has(all) ? { mentionAll: true } : {}),
  };
}

/** The members whose names begin with the typed letters. */
export function MentionPicker({
  members,
  query,
  onPick,
}: {
  members: Mentionables;
  query: string;
  onPick: (name: string) => void;
}): ReactNode {
  const t = useText();
  const all = t('mention.all');
  const begins = (name: string): boolean => name.toLowerCase().includes(query.toLowerCase());
  const list = members.list.filter((m) => begins(m.name)).slice(0, maxOffered);
  const everybody = members.all && begins(all);
  if (!list.length && !everybody) return null;
  return (
    <ul className="mentions" role="listbox" aria-label={t('mention')}>
      {everybody && (
        <li role="option" aria-selected={false}>
          <button type="button" onClick={() => onPick(all)}>
            @{all}
          </button>
        </li>
      )}
      {list.map((m) => (
        <li key={m.userID} role="option" aria-selected={false}>
          <button type="button" onClick={() => onPick(m.name)}>
            <UserAvatar userID={m.userID} size={28} /> {m.name}
          </button>
        </li>
      ))}
    </ul>
  );
}
