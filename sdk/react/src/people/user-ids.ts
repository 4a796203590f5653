import { useState } from 'react';
import type { Session } from '../session.js';
import { useSession, useText, useTranslator } from '../use.js';

/** Returns the user IDs in a text, separated by spaces or commas. */
export function userIDsIn(text: string): string[] {
  return [...new Set(text.split(/[\s,，、]+/).filter(Boolean))];
}

/** Returns the users without a profile on the server. */
export async function unknownUsers(s: Session, userIDList: string[]): Promise<string[]> {
  if (!userIDList.length) return [];
  const { profiles } = await s.client.getUsersInfo({ userIDList });
  const known = new Set(profiles.filter((p) => p.nick).map((p) => p.userID));
  return userIDList.filter((u) => !known.has(u));
}

/** The state of an input with user IDs. */
export interface UserIDs {
  text: string;
  setText: (text: string) => void;
  /** Reports the IDs; undefined at the first press with unknown users, which a second press confirms. */
  read: (onUnknown: (text: string) => void) => Promise<string[] | undefined>;
}

/** Returns the state of an input with user IDs. */
export function useUserIDs(): UserIDs {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const [text, setText] = useState('');
  const [confirmed, setConfirmed] = useState('');
  const read = async (onUnknown: (text: string) => void): Promise<string[] | undefined> => {
    const list = userIDsIn(text);
    const unknown = await unknownUsers(s, list);
    if (!unknown.length || confirmed === text) return list;
    setConfirmed(text);
    onUnknown(t('members.unknown', { users: translator.list(unknown) }));
    return undefined;
  };
  return { text, setText, read };
}
