import { useEffect, useState, type ReactNode } from 'react';
import { CallLayer } from './call.js';
import { Chat } from './chat.js';
import { Classroom } from './classroom.js';
import { ChatRoom } from './chat-room.js';
import { Nav } from './nav.js';
import { turnOffPush } from './push.js';
import { forget, keep, remembered } from './saved.js';
import { Session } from './session.js';
import { SignIn } from './signin.js';
import { Button, Toasts, Empty } from './ui.js';
import { SessionContext, useCall, useRoute, useSession, useObservable } from './use.js';

/** Timeout of the removal of this browser's push subscription at sign-out, in milliseconds. */
const pushTimeout = 3000;

export function App(): ReactNode {
  const [session, set] = useState<Session>();
  useEffect(() => {
    const saved = remembered();
    if (saved) set(new Session(saved));
  }, []);
  useEffect(() => () => session?.close(), [session]);
  if (!session)
    return (
      <SignIn
        onToken={(saved) => {
          keep(saved);
          set(new Session(saved));
        }}
      />
    );
  return (
    <SessionContext.Provider value={session}>
      <Inside
        onLeave={() => {
          forget();
          void Promise.race([turnOffPush(session), new Promise((resolve) => setTimeout(resolve, pushTimeout))])
            .catch(() => undefined)
            .finally(() => {
              session.close();
              set(undefined);
              location.hash = '';
            });
        }}
      />
    </SessionContext.Provider>
  );
}

function Inside({ onLeave }: { onLeave: () => void }): ReactNode {
  const [page = 'chat', target = ''] = useRoute();
  useAnswered(page === 'answered' ? target : '');
  const known = ['chat', 'class', 'lounge'].includes(page) && (page !== 'chat' || /^(c2c|group)_./.test(target));
  const [place, id] = known ? [page, target] : [['class', 'lounge'].includes(page) ? page : 'chat', ''];
  const talking = !['idle', 'ringing'].includes(useCall().phase); // the call covers the page
  return (
    <div className={`app ${id ? 'open' : ''}`}>
      <LinkBanner onLeave={onLeave} />
      <Nav place={place} id={id} onLeave={onLeave} inert={talking} />
      <main key={`${place}/${id}`} inert={talking}>
        {!id && <Welcome />}
        {id && place === 'chat' && <Chat conversationID={id} />}
        {id && place === 'class' && <Classroom groupID={id} />}
        {id && place === 'lounge' && <ChatRoom groupID={id} />}
      </main>
      <CallLayer />
      <Toasts />
    </div>
  );
}

/** Joins the call that was answered in the notification that opened this page. */
function useAnswered(inviteID: string): void {
  const s = useSession();
  const link = useObservable(s.link);
  useEffect(() => {
    if (!inviteID || link !== 'connected') return;
    location.hash = '#/chat';
    s.calls.pickUp(inviteID).catch((err: unknown) => s.fail(err, 'The call could not be answered'));
  }, [s, inviteID, link]);
}

function Welcome(): ReactNode {
  return (
    <Empty icon="hand" title="Select a conversation">
      <p>
        Open a conversation and call, step into a classroom, or take a seat in a chat room. The server decides every
        outcome, so all your devices show the same.
      </p>
    </Empty>
  );
}

/** Shows a lost connection, and sessions ended by the server. */
function LinkBanner({ onLeave }: { onLeave: () => void }): ReactNode {
  const s = useSession();
  const link = useObservable(s.link);
  const text = {
    connecting: 'Connecting to the server…',
    connected: '',
    lost: 'The server cannot be reached. Trying again; nothing you sent is lost.',
    kicked: 'You were signed out, because another device took this place.',
    refused: 'The server does not let you in: your sign-in has expired or is not valid.',
  }[link];
  if (!text) return null;
  const over = link === 'kicked' || link === 'refused';
  return (
    <div className={`banner ${link}`} role="alert">
      <span>{text}</span>
      {over && <Button onClick={onLeave}>Sign in again</Button>}
    </div>
  );
}
