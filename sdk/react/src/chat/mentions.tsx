// Mentions of group members: a name after an @.
import { useEffect, useState, type ReactNode } from 'react';
import { UserAvatar } from '../ui/avatar.js';
import { useSession, useText } from '../use.js';

/** A member that can be mentioned. */
export interface Mentionable {
  userID: string;
  name: string;
}

/** Members that the picker offers at once. */
const maxOffered = 6;

/** Returns the members of a group by their names, loaded when they are needed. */
export function useMembers(groupID: string, needed: boolean): Mentionable[] {
  const s = useSession();
  const [list, set] = useState<Mentionable[]>([]);
  useEffect(() => {
    if (!groupID || !needed) return;
    let current = true;
    s.client
      .getGroupMemberList({ groupID, limit: 200 })
      .then(async ({ members }) => {
        const cards = new Map(members.map((m) => [m.userID, m.nameCard ?? '']));
        const userIDList = [...cards.keys()].filter((u) => u !== s.me).slice(0, 100);
        if (!userIDList.length) return;
        const { profiles } = await s.client.getUsersInfo({ userIDList });
        const names = profiles.map(({ userID, nick }) => ({ userID, name: cards.get(userID) || nick || userID }));
        if (current) set(names);
      })
      .catch(() => undefined); // then no name is offered
    return () => {
      current = false;
    };
  }, [s, groupID, needed]);
  return list;
}

/** Returns the text between an @ and the caret; undefined if there is none. */
export function wordBefore(text: string, caret: number): string | undefined {
  return /(?:^|\s)@([^\s@]{0,30})$/.exec(text.slice(0, caret))?.[1];
}

/** Returns the fields of a message for the names in its text. */
export function mentionsIn(
  text: string,
  members: readonly Mentionable[],
  all: string,
): { mentions?: string[]; mentionAll?: true } {
  const found = members.filter((m) => text.includes(`@${m.name}`)).map((m) => m.userID);
  return { ...(found.length ? { mentions: found } : {}), ...(text.includes(`@${all}`) ? { mentionAll: true } : {}) };
}

/** The members whose names begin with the typed letters. */
export function MentionPicker({
  members,
  query,
  onPick,
}: {
  members: readonly Mentionable[];
  query: string;
  onPick: (name: string) => void;
}): ReactNode {
  const t = useText();
  const all = t('mention.all');
  const begins = (name: string): boolean => name.toLowerCase().includes(query.toLowerCase());
  const list = members.filter((m) => begins(m.name)).slice(0, maxOffered);
  if (!list.length && !begins(all)) return null;
  return (
    <ul className="mentions" role="listbox" aria-label={t('mention')}>
      {begins(all) && (
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
