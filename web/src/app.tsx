import { useEffect, useEffectEvent, useMemo, useState, type ReactNode } from 'react';
import { BeckonError, Client } from 'beckon';
import {
  BeckonProvider,
  Button,
  CallLayer,
  ChatRoom,
  Classroom,
  Conversation,
  Empty,
  JoinGroup,
  useCovered,
  useObservable,
  useSession,
  type Place,
} from '@beckon/react';
import { CallHistory } from './calls.js';
import { Nav } from './nav.js';
import { renewPush, turnOffPush } from './push.js';
import { go, useRoute } from './route.js';
import { demoUsers, forget, isKeptForPush, keep, keepForPush, remembered, type Saved } from './saved.js';
import { SignIn } from './signin.js';
import { pageText, usePageText, usePageTexts } from './texts.js';
import { Title } from './title.js';

/** Timeout of the removal of this browser's push subscription at sign-out, in milliseconds. */
const pushTimeout = 3000;

/** The pages, by the kinds of places of the components. */
const pages = { chat: 'chat', class: 'class', room: 'lounge' } as const;

const navigate = ({ kind, id, seq }: Place): void =>
  go(pages[kind], ...(id ? [id] : []), ...(id && seq ? [String(seq)] : []));

/** Returns the server that the page names in <meta name="beckon-server">, else the page's own, without the page's name. */
function serverOfPage(): string {
  return (
    document.querySelector<HTMLMetaElement>('meta[name="beckon-server"]')?.content || new URL('.', location.href).href
  );
}

export function App(): ReactNode {
  const [saved, set] = useState<Saved | undefined>(remembered);
  if (!saved)
    return (
      <SignIn
        onToken={(user, stay) => {
          keep(user, stay);
          set(user);
        }}
      />
    );
  return <SignedIn key={saved.userID} saved={saved} onLeave={() => set(undefined)} />;
}

function SignedIn({ saved, onLeave }: { saved: Saved; onLeave: () => void }): ReactNode {
  const { locale } = usePageTexts();
  const client = useMemo(() => new Client({ token: saved.token, server: serverOfPage() }), [saved]);
  const leave = (): void => {
    forget(saved.userID);
    void Promise.race([turnOffPush({ client, saved }), new Promise((resolve) => setTimeout(resolve, pushTimeout))])
      .catch(() => undefined)
      .finally(() => {
        onLeave();
        location.hash = '';
      });
  };
  return (
    <BeckonProvider
      client={client}
      userID={saved.userID}
      nick={saved.nick}
      locale={locale}
      onNavigate={navigate}
      groupLink={(groupID) => new URL(`#/join/${encodeURIComponent(groupID)}`, location.href).href}
      onConnect={(err) => {
        if (err instanceof BeckonError && (err.code === 70009 || err.code === 70001)) forget(saved.userID);
      }}
    >
      <Renewal saved={saved} />
      <Inside saved={saved} onLeave={leave} />
    </BeckonProvider>
  );
}

/** Replaces the token before it expires. Only a demo server gives a new one without a sign-in. */
function Renewal({ saved }: { saved: Saved }): ReactNode {
  const s = useSession();
  useEffect(() => {
    const renew = async (): Promise<void> => {
      const token = (await demoUsers()).find((u) => u.userID === saved.userID)?.token;
      if (!token) return s.toast(pageText('expires'), 'error');
      try {
        await s.client.renew(token);
        saved.token = token;
        keep(saved);
        if (isKeptForPush(saved.userID)) keepForPush(saved);
      } catch (err) {
        s.toast(pageText('failed.renew', { reason: s.reason(err) }), 'error');
      }
    };
    const offs = [
      s.client.on('onTokenWillExpire', () => void renew()),
      s.client.on('onTokenExpired', () => void renew()),
      s.client.on('onConnected', () => {
        renewPush({ client: s.client, saved }).catch(() => undefined); // retried at the next connect
      }),
    ];
    return () => offs.forEach((off) => off());
  }, [s, saved]);
  return null;
}

function Inside({ saved, onLeave }: { saved: Saved; onLeave: () => void }): ReactNode {
  const [page = 'chat', target = '', at = ''] = useRoute();
  useAnswered(page === 'answered' ? target : '');
  const known = ['chat', 'class', 'lounge'].includes(page) && (page !== 'chat' || /^(c2c|group)_./.test(target));
  const [place, id] = known ? [page, target] : [['class', 'lounge', 'calls'].includes(page) ? page : 'chat', ''];
  const covered = useCovered();
  return (
    <div className={`app ${id || place === 'calls' ? 'open' : ''}`}>
      <LinkBanner onLeave={onLeave} />
      <Nav place={place} id={id} saved={saved} onLeave={onLeave} inert={covered} />
      <main key={`${place}/${id}/${at}`} inert={covered}>
        {!id && place !== 'calls' && <Welcome />}
        {!id && place === 'calls' && <CallHistory />}
        {id && place === 'chat' && <Conversation conversationID={id} {...(Number(at) ? { seq: Number(at) } : {})} />}
        {id && place === 'class' && <Classroom groupID={id} />}
        {id && place === 'lounge' && <ChatRoom groupID={id} />}
      </main>
      {page === 'join' && target && <JoinGroup key={target} groupID={target} onClose={() => go('chat')} />}
      <CallLayer />
      <Title />
    </div>
  );
}

/** Joins the call that was answered in the notification that opened this page. */
function useAnswered(inviteID: string): void {
  const s = useSession();
  const link = useObservable(s.link);
  const pickUp = useEffectEvent(() => {
    location.hash = '#/chat';
    s.calls
      .pickUp(inviteID)
      .catch((err: unknown) => s.toast(pageText('failed.pickUp', { reason: s.reason(err) }), 'error'));
  });
  useEffect(() => {
    if (inviteID && link === 'connected') pickUp();
  }, [inviteID, link]);
}

function Welcome(): ReactNode {
  const t = usePageText();
  return (
    <Empty icon="hand" title={t('welcome.title')}>
      <p>{t('welcome.text')}</p>
    </Empty>
  );
}

/** Shows a lost connection, and sessions ended by the server. */
function LinkBanner({ onLeave }: { onLeave: () => void }): ReactNode {
  const s = useSession();
  const t = usePageText();
  const link = useObservable(s.link);
  if (link === 'connected') return null;
  const over = link === 'kicked' || link === 'refused';
  return (
    <div className={`banner ${link}`} role="alert">
      <span>{t(`link.${link}`)}</span>
      {over && <Button onClick={onLeave}>{t('link.signIn')}</Button>}
    </div>
  );
}
