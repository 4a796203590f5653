import { useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { preview, when } from './history.js';
import { NewConversation } from './people.js';
import { pushState, testPush, turnOffPush, turnOnPush } from './push.js';
import { Avatar, Icon, IconButton, UserAvatar, type IconName } from './ui.js';
import { go, useName, useSession, useObservable } from './use.js';

const places: { id: string; label: string; icon: IconName }[] = [
  { id: 'chat', label: 'Chats', icon: 'chat' },
  { id: 'class', label: 'Classrooms', icon: 'school' },
  { id: 'lounge', label: 'Chat rooms', icon: 'sofa' },
];

/** The navigation: conversations, classrooms, chat rooms. */
export function Nav({
  place,
  id,
  onLeave,
  inert,
}: {
  place: string;
  id: string;
  onLeave: () => void;
  inert: boolean;
}): ReactNode {
  const s = useSession();
  const [adding, setAdding] = useState(false);
  const me = useName(s.me);
  return (
    <nav className="nav" inert={inert} aria-label="Conversations and rooms">
      <header>
        <UserAvatar userID={s.me} size={38} />
        <strong>{me}</strong>
        <Bell />
        <IconButton icon="add" label="New conversation" onClick={() => setAdding(true)} />
        <IconButton icon="out" label="Sign out" onClick={onLeave} />
      </header>
      <div className="tabs" role="tablist">
        {places.map((p) => (
          <button key={p.id} type="button" role="tab" aria-selected={place === p.id} onClick={() => go(p.id)}>
            <Icon name={p.icon} />
            {p.label}
          </button>
        ))}
      </div>
      {place === 'chat' ? <Conversations id={id} /> : <Groups place={place} id={id} />}
      {adding && <NewConversation onClose={() => setAdding(false)} />}
    </nav>
  );
}

/** The switch for push notifications, and their test. */
function Bell(): ReactNode {
  const s = useSession();
  const [testing, setTesting] = useState(false);
  const [state, setState] = useState(() => pushState(s.me));
  if (state === 'unsupported') return null;
  const label = {
    off: 'Ring me when this page is closed',
    on: 'Do not ring me when this page is closed',
    denied: 'The browser forbids notifications of this page',
  }[state];
  const toggle = async (): Promise<void> => {
    try {
      if (state === 'on') await turnOffPush(s);
      setState(state === 'on' ? 'off' : await turnOnPush(s));
    } catch (err) {
      s.fail(err, 'This browser cannot be rung');
    }
  };
  const test = async (): Promise<void> => {
    setTesting(true);
    try {
      const { text, ok } = await testPush(s);
      s.toast(text, ok ? 'info' : 'error');
    } catch (err) {
      s.fail(err, 'The test notification could not be sent');
    } finally {
      setTesting(false);
    }
  };
  return (
    <>
      {state === 'on' && (
        <IconButton icon="send" label="Send a test notification" onClick={() => void test()} disabled={testing} />
      )}
      <IconButton
        icon="bell"
        off={state !== 'on'}
        label={label}
        onClick={() => void toggle()}
        disabled={state === 'denied'}
        aria-pressed={state === 'on'}
      />
    </>
  );
}

function Conversations({ id }: { id: string }): ReactNode {
  const s = useSession();
  const list = useObservable(s.conversations);
  if (!list) return <p className="muted pad">Loading conversations…</p>;
  if (list.length === 0) return <p className="muted pad">No conversations yet. Start one with the button above.</p>;
  return (
    <ul className="list">
      {list.map((c) => (
        <Item key={c.conversationID} c={c} here={c.conversationID === id} />
      ))}
    </ul>
  );
}

function Item({ c, here }: { c: Schemas['Conversation']; here: boolean }): ReactNode {
  const s = useSession();
  const peerName = useName(c.userID ?? '');
  useObservable(s.names);
  const title = c.type === 'group' ? c.name || c.groupID || '' : peerName;
  return (
    <li>
      <button
        type="button"
        className="item"
        aria-current={here ? 'page' : undefined}
        onClick={() => go('chat', c.conversationID)}
      >
        {c.type === 'group' ? (
          <Avatar id={c.groupID ?? ''} name={title} square />
        ) : (
          <UserAvatar userID={c.userID ?? ''} />
        )}
        <span className="text">
          <strong>{title}</strong>
          <span className="muted">{preview(s, c.last)}</span>
        </span>
        <span className="side">
          <time>{c.lastTime ? when(c.lastTime) : ''}</time>
          {c.unread > 0 && (
            <span className="badge" aria-label={`${c.unread} unread`}>
              {c.unread > 99 ? '99+' : c.unread}
            </span>
          )}
        </span>
      </button>
    </li>
  );
}

function Groups({ place, id }: { place: string; id: string }): ReactNode {
  const s = useSession();
  const groups = useObservable(s.groups);
  const list = groups?.filter((g) => (place === 'lounge') === (g.type === 'AVChatRoom') && g.type !== 'Work');
  if (!list) return <p className="muted pad">Loading groups…</p>;
  if (list.length === 0) {
    return (
      <p className="muted pad">
        {place === 'lounge'
          ? 'You are not in a chat room yet. Create one with the button above.'
          : 'You are not in a class yet. Create one with the button above.'}
      </p>
    );
  }
  return (
    <ul className="list">
      {list.map((g) => (
        <li key={g.groupID}>
          <button
            type="button"
            className="item"
            aria-current={g.groupID === id ? 'page' : undefined}
            onClick={() => go(place, g.groupID)}
          >
            <Avatar id={g.groupID} name={g.name || g.groupID} square />
            <span className="text">
              <strong>{g.name || g.groupID}</strong>
              <span className="muted">
                {g.members} {g.members === 1 ? 'person' : 'people'}
              </span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
