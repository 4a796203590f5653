// The sign-in of a page: one per tab; one that outlives the browser, if the user wants to stay signed in; and one per
// user for the pages that notifications open.

const sessionKey = 'beckon.session';
const stayKey = 'beckon.stay';
const pushKey = (userID: string): string => `beckon.away.${userID}`;

export interface Saved {
  userID: string;
  token: string;
  nick: string;
}

/** Returns the users of a demo server, with a new token for each; of any other server, none. */
export async function demoUsers(): Promise<Saved[]> {
  try {
    const res = await fetch('demo/people');
    return res.ok ? ((await res.json()) as Saved[]) : [];
  } catch {
    return [];
  }
}

/** Returns the sign-in of a page opened by a notification, else that of this tab. */
export function remembered(): Saved | undefined {
  const opened = openedFor();
  if (opened) {
    history.replaceState(null, '', `${location.pathname}${location.hash}`);
    keep(opened);
    return opened;
  }
  // Per tab, so that two tabs can have different users.
  const text = sessionStorage.getItem(sessionKey) ?? localStorage.getItem(stayKey);
  return text ? (JSON.parse(text) as Saved) : undefined;
}

/** Stores the sign-in of this tab. stay: also for later tabs; by default if it is stored for them already. */
export function keep(saved: Saved, stay = staying(saved.userID)): void {
  const text = JSON.stringify(saved);
  sessionStorage.setItem(sessionKey, text);
  if (stay) localStorage.setItem(stayKey, text);
}

function staying(userID: string): boolean {
  const text = localStorage.getItem(stayKey);
  return text !== null && (JSON.parse(text) as Saved).userID === userID;
}

/** Removes the sign-in of a user from this tab and later ones. */
export function forget(userID: string): void {
  sessionStorage.removeItem(sessionKey);
  if (staying(userID)) localStorage.removeItem(stayKey);
}

/** Stores the sign-in for pages that notifications open: a new tab has no session storage of its own. */
export function keepForPush(saved: Saved): void {
  localStorage.setItem(pushKey(saved.userID), JSON.stringify(saved));
}

export function isKeptForPush(userID: string): boolean {
  return Boolean(localStorage.getItem(pushKey(userID)));
}

export function forgetForPush(userID: string): void {
  localStorage.removeItem(pushKey(userID));
}

/** Returns the sign-in of the user named in the address of a page opened by a notification. */
function openedFor(): Saved | undefined {
  const userID = new URLSearchParams(location.search).get('away');
  const text = userID && localStorage.getItem(pushKey(userID));
  return text ? (JSON.parse(text) as Saved) : undefined;
}
