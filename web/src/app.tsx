import { useEffect, useState, type ReactNode } from 'react';
import { CallLayer } from './call.js';
import { Chat } from './chat.js';
import { Classroom } from './classroom.js';
import { Lounge } from './lounge.js';
import { Nav } from './nav.js';
import { Session, forget, keep, remembered } from './session.js';
import { SignIn } from './signin.js';
import { Button, Toasts, Empty } from './ui.js';
import { SessionContext, useCall, useRoute, useSession, useStore } from './use.js';

export function App(): ReactNode {
  const [session, set] = useState<Session>();
  useEffect(() => {
    const saved = remembered();
    if (saved) set(new Session(saved));
  }, []);
  useEffect(() => () => session?.close(), [session]);
  if (!session) return <SignIn onToken={(saved) => { keep(saved); set(new Session(saved)); }} />;
  return (
    <SessionContext.Provider value={session}>
      <Inside onLeave={() => { forget(); session.close(); set(undefined); location.hash = ''; }} />
    </SessionContext.Provider>
  );
}

function Inside({ onLeave }: { onLeave: () => void }): ReactNode {
  const [where = 'chat', what = ''] = useRoute();
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

function Welcome(): ReactNode {
  return (
    <Empty icon="hand" title="Pick somebody to talk to">
      <p>Open a conversation and call, step into a classroom, or take a seat in a chat room. Everything you see is decided by the server, so all your screens agree.</p>
    </Empty>
  );
}

/** Says when the server cannot be reached. */
function LinkBanner({ onLeave }: { onLeave: () => void }): ReactNode {
  const s = useSession();
  const link = useStore(s.link);
  const text = {
    connecting: 'Connecting to the server…', connected: '', lost: 'The server cannot be reached. Trying again; nothing you sent is lost.',
    kicked: 'You were signed out, because another device took this place.', refused: 'The server does not let you in: your sign-in has expired or is not valid.',
  }[link];
  if (!text) return null;
  const over = link === 'kicked' || link === 'refused';
  return <div className={`banner ${link}`} role="alert"><span>{text}</span>{over && <Button onClick={onLeave}>Sign in again</Button>}</div>;
}
