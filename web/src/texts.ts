// The texts of the pages themselves; those of the components are in @beckon/react.
import { useSyncExternalStore } from 'react';
import { Formatter, languageOf, localeOf, Observable } from '@beckon/react';

const en = {
  'nav.label': 'Conversations and rooms',
  'nav.chat': 'Chats',
  'nav.class': 'Classrooms',
  'nav.room': 'Chat rooms',
  'nav.calls': 'Calls',
  'nav.new': 'New conversation',
  'nav.settings': 'Settings',
  'nav.signOut': 'Sign out',
  'welcome.title': 'Select a conversation',
  'welcome.text':
    'Open a conversation and call, step into a classroom, or take a seat in a chat room. The server decides every ' +
    'outcome, so all your devices show the same.',
  'link.connecting': 'Connecting to the server…',
  'link.lost': 'The server cannot be reached. Trying again; nothing you sent is lost.',
  'link.kicked': 'You were signed out, because another device took this place.',
  'link.refused': 'The server does not let you in: your sign-in has expired or is not valid.',
  'link.signIn': 'Sign in again',
  'signIn.title': 'Who are you?',
  'signIn.intro':
    'Call somebody, raise a hand, ask for the microphone. One server decides, and every device shows the same.',
  'signIn.second': 'Open a second window to sign in as somebody else.',
  'signIn.orToken': 'Or sign in with a token',
  'signIn.token': 'Sign in with a token',
  'signIn.notToken':
    'This is not a token: it has three parts with dots between them, and names a user. “beckon token NAME” makes one.',
  'signIn.stay': 'Stay signed in on this device',
  'signIn.do': 'Sign in',
  expires: 'Your sign-in expires; sign in again with a new token',
  'failed.renew': 'Your sign-in could not be renewed: {reason}',
  'failed.pickUp': 'The call could not be answered: {reason}',
  'push.off': 'Ring me when this page is closed',
  'push.on': 'Do not ring me when this page is closed',
  'push.denied': 'The browser forbids notifications of this page',
  'push.test': 'Send a test notification',
  'push.testArrived':
    'The test notification {count, plural, one {arrived} other {reached all # devices}} after {seconds} s',
  'push.testMissed': 'The test notification reached {arrived} of {count} devices. {reasons}',
  'push.failed': 'This browser cannot be rung: {reason}',
  'push.testFailed': 'The test notification could not be sent: {reason}',
  language: 'Language',
  'calls.none': 'No calls yet.',
  'calls.outgoing': 'Outgoing',
  'calls.incoming': 'Incoming',
  'calls.more': 'Earlier calls',
  'calls.failed': 'Your calls could not be read: {reason}',
  'calls.loading': 'Loading calls…',
} as const;

/** The name of a text of the pages. */
export type PageText = keyof typeof en;

const key = 'beckon.language';

function stored(): string {
  try {
    return localStorage.getItem(key) ?? '';
  } catch {
    return ''; // the storage is forbidden
  }
}

async function load(chosen: string): Promise<void> {
  const locale = localeOf(chosen, false);
  const texts = languageOf(locale) === 'zh' ? (await import('./texts-zh.js')).zh : en;
  document.documentElement.lang = locale;
  current.set(new Formatter(locale, texts));
}

const current = new Observable(new Formatter<PageText>('en', en));

/** Loads the texts of the chosen language; without a choice, that of the browser. Without them the pages are English. */
export async function loadLanguage(): Promise<void> {
  await load(stored() || navigator.language).catch(() => undefined);
}

/** Chooses the language of the pages, and remembers it. */
export async function setLanguage(locale: string): Promise<void> {
  try {
    localStorage.setItem(key, locale);
  } catch {
    // for this page only
  }
  await load(locale);
}

/** Returns the texts of the pages in the chosen language. */
export function usePageTexts(): Formatter<PageText> {
  return useSyncExternalStore(current.subscribe, current.get);
}

/** Returns the function that formats the texts of the pages. */
export function usePageText(): Formatter<PageText>['text'] {
  const texts = usePageTexts();
  return (key, values) => texts.text(key, values);
}

/** Returns a text outside a component. */
export function pageText(...args: Parameters<Formatter<PageText>['text']>): string {
  return current.get().text(...args);
}
