import { useEffect, useEffectEvent, useState, type ReactNode } from 'react';
import type { Client } from 'beckon';
import { Session, type Place } from './session.js';
import { directionOf, type Texts } from './text/text.js';
import { Toasts } from './ui/toasts.js';
import { SessionContext, useTranslator } from './use.js';

/** The properties of a BeckonProvider. */
export interface ProviderProps {
  /** The client of the user. The provider connects it when it is mounted, and closes it when it is unmounted. */
  client: Client;
  /** The user of the client's token. */
  userID: string;
  /** The name of the user, until the profile is loaded. */
  nick?: string;
  /** A BCP 47 tag such as en, zh or ar. Default: the language of the browser. English and Chinese are complete. */
  locale?: string;
  /** Texts instead of those of the components, as ICU messages: see TextKey for their names. */
  strings?: Partial<Texts>;
  /** Values of CSS variables: see style.css for their names, such as --brand. */
  theme?: Record<`--${string}`, string>;
  /** Opens a page of the application: after a click on a conversation, or when a group was created. */
  onNavigate?: (place: Place) => void;
  /** Returns the address of a page of the application that joins a group: it shows JoinGroup. Without it, there are no links. */
  groupLink?: (groupID: string) => string;
  /** Called when the client is connected for the first time, or cannot be: its token is refused. */
  onConnect?: (error?: unknown) => void;
  children: ReactNode;
}

/** The ends of earlier sessions, by their clients. */
const closing = new WeakMap<Client, Promise<void>>();

/** Gives the components inside it the session of a user, and shows their notices. */
export function BeckonProvider({
  client,
  userID,
  nick,
  locale,
  strings,
  theme,
  onNavigate,
  groupLink,
  onConnect,
  children,
}: ProviderProps): ReactNode {
  const [session, set] = useState<Session>();
  const navigate = useEffectEvent((place: Place) => onNavigate?.(place));
  const connected = useEffectEvent((error?: unknown) => onConnect?.(error));
  const options = useEffectEvent(() => ({
    userID,
    ...(nick === undefined ? {} : { nick }),
    ...(locale === undefined ? {} : { locale }),
    ...(strings ? { strings } : {}),
    ...(groupLink ? { groupLink } : {}),
  }));
  useEffect(() => {
    let session: Session | undefined;
    let current = true;
    // The end of an earlier session closes the client: React mounts twice in its StrictMode.
    void (closing.get(client) ?? Promise.resolve()).then(async () => {
      if (!current) return;
      session = new Session(client, { ...options(), onNavigate: (place) => navigate(place) });
      await session.ready;
      if (current) set(session);
    });
    return () => {
      current = false;
      set(undefined);
      if (session) closing.set(client, session.dispose());
    };
  }, [client, userID]);
  // Connects when the components inside have subscribed to the events.
  useEffect(() => {
    if (!session) return;
    let current = true;
    client.connect().then(
      () => current && connected(),
      (err: unknown) => current && connected(err),
    );
    return () => {
      current = false;
    };
  }, [client, session]);
  const texts = JSON.stringify(strings);
  useEffect(() => {
    void session?.setLocale(locale, texts === undefined ? undefined : (JSON.parse(texts) as Partial<Texts>));
  }, [session, locale, texts]);
  if (!session) return null;
  return (
    <SessionContext.Provider value={session}>
      <Root {...(theme ? { theme } : {})}>{children}</Root>
    </SessionContext.Provider>
  );
}

/** The element around all components: the direction of the writing, the theme, and the notices. */
function Root({ theme, children }: { theme?: Record<string, string>; children: ReactNode }): ReactNode {
  const { locale } = useTranslator();
  return (
    <div className="beckon" lang={locale} dir={directionOf(locale)} style={theme}>
      {children}
      <Toasts />
    </div>
  );
}
