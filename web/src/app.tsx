import { useEffect, useState, type ReactNode } from 'react';
import { beLeftAlone } from './away.js';
import { CallLayer } from './call.js';
import { Chat } from './chat.js';
import { Classroom } from './classroom.js';
import { Lounge } from './lounge.js';
import { Nav } from './nav.js';
import { Session, forget, keep, remembered } from './session.js';
import { SignIn } from './signin.js';
import { Button, Toasts, Empty } from './ui.js';
import { SessionContext, useCall, useRoute, useSession, useStore } from './use.js';

/** How long signing out waits for the server to know that this browser is not to be rung any more. */
const patience = 3000;

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
          void Promise.race([beLeftAlone(session), new Promise((resolve) => setTimeout(resolve, patience))])
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
  const [where = 'chat', what = ''] = useRoute();
  useAnswered(where === 'answered' ? what : '');
  const known = ['chat', 'class', 'lounge'].includes(where) && (where !== 'chat' || /^(c2c|group)_./.test(what));
  const [place, id] = known ? [where, what] : [['class', 'lounge'].includes(where) ? where : 'chat', ''];
  const talking = !['idle', 'ringing'].includes(useCall().phase); // then the call is all that there is
  return (
    <div className={`app ${id ? 'open' : ''}`}>
      <LinkBanner onLeave={onLeave} />
      <Nav place={place} id={id} onLeave={onLeave} inert={talking} />
      <main key={`${place}/${id}`} inert={talking}>
        {!id && <Welcome />}
        {id && place === 'chat' && <Chat conversationID={id} />}
        {id && place === 'class' && <Classroom groupID={id} />}
        {id && place === 'lounge' && <Lounge groupID={id} />}
      </main>
      <CallLayer />
      <Toasts />
    </div>
  );
}

/** Goes into the call that was answered in a notification, which opened this page. */
function useAnswered(inviteID: string): void {
  const s = useSession();
  const link = useStore(s.link);
  useEffect(() => {
    if (!inviteID || link !== 'connected') return;
    location.hash = '#/chat';
    s.calls.pickUp(inviteID).catch((err: unknown) => s.fail(err, 'The call could not be answered'));
  }, [s, inviteID, link]);
}

function Welcome(): ReactNode {
  return (
    <Empty icon="hand" title="Pick somebody to talk to">
      <p>
        Open a conversation and call, step into a classroom, or take a seat in a chat room. Everything you see is
        decided by the server, so all your screens agree.
      </p>
    </Empty>
  );
}

/** Says when the server cannot be reached. */
function LinkBanner({ onLeave }: { onLeave: () => void }): ReactNode {
  const s = useSession();
  const link = useStore(s.link);
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
