// One message: the message that it replies to, its content, its reactions, its state and its actions.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { BeckonError, type Schemas } from 'beckon';
import { Name } from '../ui/avatar.js';
import { Dialog } from '../ui/dialog.js';
import { useEvent, useSession, useText, useTranslator } from '../use.js';
import { Actions } from './actions.js';
import { Content } from './content.js';
import { useHold } from './held.js';
import type { Conversing } from './line.js';
import { describe, type Line } from './lines.js';

type Message = Schemas['Message'];

/** Codes of messages that this user cannot read any more. */
const gone = new Set([10007, 10010, 10030]);

/** A message. A right click, a long press, or the button with the dots opens its actions. */
export function Bubble({
  line,
  follows,
  conversing,
}: {
  line: Line;
  follows: boolean;
  conversing: Conversing;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const { conversationID } = conversing.timeline;
  const own = line.from === s.me;
  const m = line.message!;
  const { mine } = line.entry;
  const menu = useRef<() => void>(() => undefined);
  const react = (reaction: string): void => {
    const request = { conversationID, messageID: m.messageID, reaction };
    const done = mine.includes(reaction)
      ? s.client.removeMessageReaction(request)
      : s.client.addMessageReaction(request);
    done.catch((err: unknown) => s.fail(err, 'failed.reaction'));
  };
  return (
    <div
      className={`bubble ${own ? 'mine' : ''} ${follows ? 'follows' : ''} ${m.revoked ? 'revoked' : ''}`}
      data-message={m.messageID}
      onContextMenu={(e) => {
        if (m.revoked || (e.target as Element).closest('a, img, audio, video')) return;
        e.preventDefault();
        menu.current();
      }}
    >
      {!own && !follows && conversationID.startsWith('group_') && (
        <strong>
          <Name id={line.from} />
        </strong>
      )}
      {m.replyTo && <Quote messageID={m.replyTo} conversing={conversing} />}
      <Content m={m} />
      <footer>
        <Reactions list={m.reactions ?? []} mine={mine} onReact={react} />
        {(m.version ?? 0) > 0 && !m.revoked && <span className="edited">{t('message.edited')}</span>}
        <time>{translator.time(line.time)}</time>
        {own && !m.revoked && <Ticks line={line} conversing={conversing} />}
        {!m.revoked && <Actions line={line} own={own} open={menu} conversing={conversing} onReact={react} />}
      </footer>
    </div>
  );
}

/** Whether an own message was read: by the other user, or by how many members of the group. */
function Ticks({ line, conversing: { timeline } }: { line: Line; conversing: Conversing }): ReactNode {
  const t = useText();
  const [open, setOpen] = useState(false);
  useHold(open);
  const { seq, read } = line.entry;
  if (timeline.conversationID.startsWith('c2c_')) {
    const label = t(seq <= timeline.peerReadSeq ? 'message.read' : 'message.sent');
    return (
      <span
        className={`ticks ${seq <= timeline.peerReadSeq ? 'read' : ''}`}
        role="img"
        aria-label={label}
        title={label}
      >
        {seq <= timeline.peerReadSeq ? '✓✓' : '✓'}
      </span>
    );
  }
  if (!line.message!.needReadReceipt) return null;
  const label = t('message.readBy', { count: read });
  return (
    <>
      <button type="button" className={`ticks ${read ? 'read' : ''}`} title={label} onClick={() => setOpen(true)}>
        <span aria-hidden="true">{read ? `✓✓ ${read}` : '✓'}</span>
        <span className="hidden-text">{label}</span>
      </button>
      {open && <Readers m={line.message!} onClose={() => setOpen(false)} />}
    </>
  );
}

/** The dialog with the readers of a message, and the other members. */
function Readers({ m, onClose }: { m: Message; onClose: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const [lists, set] = useState<Record<'read' | 'unread', string[]>>();
  useEffect(() => {
    const of = (unread: boolean): Promise<string[]> =>
      s.client
        .getGroupMessageReadMemberList({ groupID: m.groupID!, messageID: m.messageID, unread, limit: 100 })
        .then((r) => r.readers.map((x) => x.userID));
    Promise.all([of(false), of(true)]).then(
      ([read, unread]) => set({ read, unread }),
      (err: unknown) => s.fail(err, 'failed.readers'),
    );
  }, [s, m]);
  return (
    <Dialog title={t('readers')} onClose={onClose}>
      {(['read', 'unread'] as const).map((filter) => (
        <section key={filter}>
          <h3>{t(filter === 'read' ? 'readers.read' : 'readers.unread', { count: lists?.[filter].length ?? 0 })}</h3>
          <ul className="names">
            {lists?.[filter].map((u) => (
              <li key={u}>
                <Name id={u} />
              </li>
            ))}
          </ul>
        </section>
      ))}
    </Dialog>
  );
}

function Reactions({
  list,
  mine,
  onReact,
}: {
  list: readonly Schemas['ReactionCount'][];
  /** This user's reactions. */
  mine: readonly string[];
  onReact: (reaction: string) => void;
}): ReactNode {
  const t = useText();
  if (!list.length) return null;
  return (
    <span className="reactions">
      {list.map(({ reaction, count }) => (
        <button
          key={reaction}
          type="button"
          aria-pressed={mine.includes(reaction)}
          aria-label={t('reaction.count', { reaction, count })}
          onClick={() => onReact(reaction)}
        >
          {reaction} {count}
        </button>
      ))}
    </span>
  );
}

/** The message that another one replies to. A click shows it in its place. */
function Quote({ messageID, conversing }: { messageID: string; conversing: Conversing }): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const { timeline } = conversing;
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
  const open = (): void => {
    if (shown) return conversing.jump(shown.seq);
    s.client.getMessage({ conversationID, messageID }).then(
      (r) => r.seq && conversing.jump(r.seq),
      (err: unknown) => s.fail(err, 'failed.quote'),
    );
  };
  return (
    <button type="button" className="quote" onClick={open} aria-label={t('quote')}>
      {m ? (
        <>
          <b>
            <Name id={m.from} />
          </b>
          <span dir="auto">{describe(translator, m)}</span>
        </>
      ) : (
        <span>{missing ? t('quote.gone') : '…'}</span>
      )}
    </button>
  );
}
