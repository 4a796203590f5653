// One message: its content, the message that it replies to, its reactions, and its actions.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { BeckonError, type Schemas } from 'beckon';
import { forward, type Timeline } from 'beckon/inbox';
import { describe, when, type Line } from './history.js';
import { Button, Dialog, Icon, Name } from './ui.js';
import { duration, useEvent, useName, useObservable, useSession } from './use.js';

type Message = Schemas['Message'];

/** The reactions that the menu offers. */
const offered = ['👍', '❤️', '😂', '😮', '😢', '🙏'];

/** Codes of messages that this user cannot read any more. */
const gone = new Set([10007, 10010, 10030]);

/** Height of the bar of actions with the page's header, in pixels: nearer to the top it opens downwards. */
const barHeight = 360;

export function Bubble({
  line,
  mine,
  follows,
  timeline,
  onShown,
  onReply,
}: {
  line: Line;
  /** This user's reactions. */
  mine: readonly string[];
  follows: boolean;
  timeline: Timeline;
  /** The entry has reached its full height. */
  onShown: (element: HTMLElement) => void;
  onReply: (m: Message) => void;
}): ReactNode {
  const s = useSession();
  const { conversationID } = timeline;
  const own = line.from === s.me;
  const m = line.message!;
  const react = (reaction: string): void => {
    const request = { conversationID, messageID: m.messageID, reaction };
    const done = mine.includes(reaction)
      ? s.client.removeMessageReaction(request)
      : s.client.addMessageReaction(request);
    done.catch((err: unknown) => s.fail(err, 'The reaction was not sent'));
  };
  return (
    <div
      className={`bubble ${own ? 'mine' : ''} ${follows ? 'follows' : ''} ${m.revoked ? 'revoked' : ''}`}
      id={`m-${m.messageID}`}
    >
      {!own && !follows && conversationID.startsWith('group_') && (
        <strong>
          <Name id={line.from} />
        </strong>
      )}
      {m.replyTo && <Quote messageID={m.replyTo} timeline={timeline} />}
      <Content m={m} text={line.text} onShown={onShown} />
      <footer>
        <Reactions list={m.reactions ?? []} mine={mine} onReact={react} />
        <time>{when(line.time)}</time>
        {!m.revoked && <Actions m={m} text={line.text} own={own} onReact={react} onReply={() => onReply(m)} />}
      </footer>
    </div>
  );
}

function Content({ m, text, onShown }: { m: Message; text: string; onShown: (e: HTMLElement) => void }): ReactNode {
  if (m.revoked) return <span className="words">{text}</span>;
  if (m.image) return <Picture fileID={m.image.thumbID || m.image.fileID} full={m.image.fileID} onShown={onShown} />;
  if (m.sound) return <Voice sound={m.sound} />;
  if (m.file) return <FileLink fileID={m.file.fileID} name={text} />;
  if (m.merged) return <Merged merged={m.merged} />;
  return (
    <span className="words" dir="auto">
      {text}
    </span>
  );
}

function Reactions({
  list,
  mine,
  onReact,
}: {
  list: readonly Schemas['ReactionCount'][];
  mine: readonly string[];
  onReact: (reaction: string) => void;
}): ReactNode {
  if (!list.length) return null;
  return (
    <span className="reactions">
      {list.map(({ reaction, count }) => (
        <button
          key={reaction}
          type="button"
          aria-pressed={mine.includes(reaction)}
          aria-label={`${reaction}, ${count} ${count === 1 ? 'person' : 'people'}`}
          onClick={() => onReact(reaction)}
        >
          {reaction} {count}
        </button>
      ))}
    </span>
  );
}

/** The message that another one replies to. */
function Quote({ messageID, timeline }: { messageID: string; timeline: Timeline }): ReactNode {
  const s = useSession();
  const { conversationID } = timeline;
  const shown = timeline.entries.find((e) => (e.event as Partial<Message>).messageID === messageID);
  const [loaded, set] = useState<Message>();
  const [missing, setMissing] = useState(false);
  const here = Boolean(shown);
  const [round, setRound] = useState(0); // of loads
  const again = (changed: string): void => {
    if (changed === messageID) setRound(round + 1);
  };
  useEvent('onMessageRevoked', (e) => again(e.messageID));
  useEvent('onMessageModified', (e) => again(e.message.messageID));
  useEffect(() => {
    if (here) return;
    let current = true;
    s.quoted(conversationID, messageID).then(
      (m) => current && set(m),
      (err: unknown) => current && setMissing(err instanceof BeckonError && gone.has(err.code)),
    );
    return () => {
      current = false;
    };
  }, [s, here, conversationID, messageID, round]);
  const m = (shown?.event as Message | undefined) ?? loaded;
  const open = (): void => document.getElementById(`m-${messageID}`)?.scrollIntoView({ block: 'center' });
  return (
    <button type="button" className="quote" onClick={open} aria-label="The message that this one replies to">
      {m ? (
        <>
          <b>
            <Name id={m.from} />
          </b>
          <span dir="auto">{describe(m)}</span>
        </>
      ) : (
        <span>{missing ? 'The message is not available any more' : '…'}</span>
      )}
    </button>
  );
}

/** The actions on a message: a button that opens a bar, which closes with the choice, Escape, or a click elsewhere. */
function Actions({
  m,
  text,
  own,
  onReact,
  onReply,
}: {
  m: Message;
  text: string;
  own: boolean;
  onReact: (reaction: string) => void;
  onReply: () => void;
}): ReactNode {
  const s = useSession();
  const [open, setOpen] = useState<'above' | 'below'>();
  const [forwarding, setForwarding] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (e: Event): void => {
      if (!(e instanceof KeyboardEvent ? e.key === 'Escape' : !box.current?.contains(e.target as Node))) return;
      if (e instanceof KeyboardEvent) box.current?.querySelector('button')?.focus();
      setOpen(undefined);
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', away);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', away);
    };
  }, [open]);
  const toggle = (): void => {
    const { top } = box.current!.getBoundingClientRect();
    setOpen(open ? undefined : top < barHeight ? 'below' : 'above');
  };
  const then = (run: () => void) => (): void => {
    setOpen(undefined);
    run();
  };
  const conversationID = m.groupID ? `group_${m.groupID}` : `c2c_${m.from === s.me ? m.to : m.from}`;
  return (
    <span className="actions" ref={box}>
      <button
        type="button"
        className="more"
        aria-label="Actions"
        aria-expanded={Boolean(open)}
        title="Actions"
        onClick={toggle}
      >
        ⋯
      </button>
      {open && (
        <span className={`bar ${open}`} role="group" aria-label="Actions on the message">
          <span className="offered">
            {offered.map((r) => (
              <button key={r} type="button" aria-label={`React with ${r}`} onClick={then(() => onReact(r))}>
                {r}
              </button>
            ))}
          </span>
          <Button tone="quiet" onClick={then(onReply)}>
            Reply
          </Button>
          {!m.call && (
            <Button tone="quiet" onClick={then(() => setForwarding(true))}>
              Forward
            </Button>
          )}
          {m.text && (
            <Button tone="quiet" onClick={then(() => void navigator.clipboard?.writeText(text))}>
              Copy
            </Button>
          )}
          {own && (
            <Button
              tone="quiet"
              onClick={then(() => {
                s.client
                  .revokeMessage({ conversationID, messageID: m.messageID })
                  .catch((err: unknown) => s.fail(err, 'The message was not recalled'));
              })}
            >
              Recall
            </Button>
          )}
        </span>
      )}
      {forwarding && <Forward m={m} onClose={() => setForwarding(false)} />}
    </span>
  );
}

/** The dialog that picks the conversation to forward to. */
function Forward({ m, onClose }: { m: Message; onClose: () => void }): ReactNode {
  const s = useSession();
  const send = (conversationID: string): void => {
    onClose();
    s.inbox.send(conversationID, forward(m)).then(
      () => s.toast('The message was forwarded'),
      (err: unknown) => s.fail(err, 'The message was not forwarded'),
    );
  };
  return (
    <Dialog title="Forward to" onClose={onClose}>
      <div className="pick">
        {s.inbox.conversations.map((c) => (
          <Button key={c.conversationID} onClick={() => send(c.conversationID)}>
            {c.userID ? <Name id={c.userID} /> : c.name || c.groupID}
          </Button>
        ))}
      </div>
    </Dialog>
  );
}

function Merged({ merged }: { merged: Schemas['MergedElem'] }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="merged" onClick={() => setOpen(true)}>
        <b dir="auto">{merged.title}</b>
        {(merged.abstracts ?? []).map((line, i) => (
          <span key={i} dir="auto">
            {line}
          </span>
        ))}
      </button>
      {open && (
        <Dialog title={merged.title} onClose={() => setOpen(false)}>
          <ol className="merged-list">
            {merged.messages.map((q, i) => (
              <li key={i}>
                <b>
                  <Name id={q.from} />
                </b>{' '}
                <time>{when(q.time)}</time>
                <p dir="auto">{q.text}</p>
              </li>
            ))}
          </ol>
        </Dialog>
      )}
    </>
  );
}

/** A voice message, loaded when it is played. */
function Voice({ sound }: { sound: Schemas['FileElem'] }): ReactNode {
  const s = useSession();
  const [url, set] = useState('');
  const length = sound.duration ? duration(sound.duration) : '';
  const play = (): void => {
    s.fileURL(sound.fileID).then(set, (err: unknown) => s.fail(err, 'The voice message could not be loaded'));
  };
  if (url) return <audio src={url} controls autoPlay aria-label="Voice message" />;
  return (
    <button type="button" className="voice" onClick={play} aria-label={`Play the voice message ${length}`}>
      <Icon name="sound" /> {length || 'Voice message'}
    </button>
  );
}

function Picture({
  fileID,
  full,
  onShown,
}: {
  fileID: string;
  full: string;
  onShown: (element: HTMLElement) => void;
}): ReactNode {
  const s = useSession();
  const [url, set] = useState('');
  useEffect(() => {
    s.fileURL(fileID).then(set, () => set(''));
  }, [s, fileID]);
  const open = (): void => {
    void s.fileURL(full).then((url) => window.open(url, '_blank', 'noopener'));
  };
  return url ? (
    <button type="button" className="picture" onClick={open}>
      <img src={url} alt="Picture" onLoad={(e) => onShown(e.currentTarget)} />
    </button>
  ) : (
    <span className="words">Picture</span>
  );
}

function FileLink({ fileID, name }: { fileID: string; name: string }): ReactNode {
  const s = useSession();
  return (
    <button
      type="button"
      className="words link"
      onClick={() => void s.fileURL(fileID).then((url) => window.open(url, '_blank', 'noopener'))}
    >
      {name}
    </button>
  );
}

/** The line that says who is typing. */
export function TypingLine({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  const [users, set] = useState<string[]>([]);
  useObservable(s.names);
  useEffect(() => {
    const read = (): void => set(s.inbox.typing.users(conversationID));
    read();
    return s.inbox.typing.on('onChanged', (e) => {
      if (e.conversationID === conversationID) read();
    });
  }, [s, conversationID]);
  const first = useName(users[0] ?? '');
  const text =
    users.length === 0 ? '' : users.length === 1 ? `${first} is typing…` : `${users.length} people are typing…`;
  return (
    <p className="typing" aria-live="polite">
      {text}
    </p>
  );
}
