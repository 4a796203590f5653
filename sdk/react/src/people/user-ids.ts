import type { Session } from '../session.js';

/** Returns the user IDs in a text, separated by spaces or commas. */
export function userIDsIn(text: string): string[] {
  return [...new Set(text.split(/[\s,，、]+/).filter(Boolean))];
}

/** Returns those users of whom the server knows nothing. */
export async function unknownUsers(s: Session, userIDList: string[]): Promise<string[]> {
  if (!userIDList.length) return [];
  const { profiles } = await s.client.getUsersInfo({ userIDList });
  const known = new Set(profiles.filter((p) => p.nick).map((p) => p.userID));
  return userIDList.filter((u) => !known.has(u));
}
