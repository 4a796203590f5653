// The messages of a conversation: its timeline and the unsent messages.
import {
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
  type RefObject,
} from 'react';
import { conversationOf, type Schemas } from 'beckon';
import type { Timeline, Unsent } from 'beckon/inbox';
import { Bubble, TypingLine } from './bubble.js';
import { Composer } from './composer.js';
import { linesOf, when, type Line } from './history.js';
import { reason } from './session.js';
import { Button, Icon } from './ui.js';
import { oncePerFrame, useCall, useEvent, useObservable, useSession } from './use.js';

/** Distance from the end, in pixels, within which new messages keep the end in view. */
const nearEnd = 80;

type OnCall = (media: 'video' | 'audio') => void;

/** The messages of a conversation and the composer. */
export function Messages({ conversationID, onCall }: { conversationID: string; onCall?: OnCall }): ReactNode {
  const { inbox, me } = useSession();
  const [timeline, set] = useState<Timeline>();
  const [reply, setReply] = useState<Schemas['Message']>();
  useEvent('onMessageRevoked', ({ messageID }) => {
    if (messageID === reply?.messageID) setReply(undefined);
  });
  useEffect(() => {
    const t = inbox.timeline(conversationID);
    set(t);
    return () => t.close();
  }, [inbox, conversationID]);
  return (
    <div className="messages">
      {timeline?.conversationID === conversationID && (
        <Lines timeline={timeline} onReply={setReply} {...(onCall ? { onCall } : {})} />
      )}
      <TypingLine conversationID={conversationID} />
      <Composer
        key={conversationID}
        conversationID={conversationID}
        replyTo={reply && conversationOf(me, reply) === conversationID ? reply : undefined}
        onReplied={() => setReply(undefined)}
      />
    </div>
  );
}

/** The entries of a timeline, and below them the unsent messages. */
function Lines({
  timeline,
  onReply,
  onCall,
}: {
  timeline: Timeline;
  onReply: (m: Schemas['Message']) => void;
  onCall?: OnCall;
}): ReactNode {
  const s = useSession();
  const { conversationID } = timeline;
  useObservable(s.names);
  const subscribe = useCallback(
    (changed: () => void) => oncePerFrame(changed, (f) => timeline.on('onChanged', f)),
    [timeline],
  );
  const entries = useSyncExternalStore(subscribe, () => timeline.entries);
  const unsent = useUnsent(conversationID);
  const [opened, setOpened] = useState(false);
  const [problem, setProblem] = useState('');
  const failed = useRef(() => timeline.open() as Promise<unknown>);
  const load = useCallback((run: () => Promise<unknown>): void => {
    failed.current = run;
    run().then(
      () => {
        setOpened(true);
        setProblem('');
      },
      (err: unknown) => setProblem(reason(err)),
    );
  }, []);
  useEffect(() => load(() => timeline.open()), [load, timeline]);
  const link = useObservable(s.link);
  const retry = useEffectEvent(() => {
    if (link === 'connected' && problem) load(failed.current);
  });
  useEffect(() => retry(), [link]);
  const newest = entries.at(-1)?.seq ?? 0;
  const { box, atEnd, onShown, scrollToEnd } = useEnd(entries[0]?.seq ?? 0, newest, unsent.length);
  useRead(conversationID, newest, atEnd);
  const lines = linesOf(s, entries);
  const mine = new Map(entries.map((e) => [e.seq, e.mine]));
  return (
    <>
      <div className="scroll" role="log" aria-live="polite" aria-label="Messages" ref={box}>
        {opened && timeline.hasOlder && (
          <Button tone="quiet" onClick={() => load(() => timeline.older())}>
            Earlier messages
          </Button>
        )}
        {!opened && !problem && <p className="muted pad">Reading…</p>}
        {problem && (
          <div className="problem">
            <p>{problem}</p>
            <Button onClick={() => load(failed.current)}>Try again</Button>
          </div>
        )}
        {opened && lines.length + unsent.length === 0 && <p className="muted pad">Nothing was said here yet.</p>}
        {lines.map((l, i) => (
          <Entry
            key={l.key}
            line={l}
            follows={lines[i - 1]?.kind === 'message' && lines[i - 1]?.from === l.from}
            mine={mine.get(l.seq) ?? []}
            timeline={timeline}
            onShown={onShown}
            onReply={onReply}
            {...(onCall ? { onCall } : {})}
          />
        ))}
        {unsent.map((m) => (
          <UnsentEntry key={m.messageID} m={m} />
        ))}
      </div>
      {!atEnd && (
        <Button tone="quiet" onClick={scrollToEnd}>
          Latest messages
        </Button>
      )}
    </>
  );
}

/** Keeps the view in place: at the end while it is there, else at the same entry. */
function useEnd(
  oldest: number,
  newest: number,
  unsent: number,
): {
  box: RefObject<HTMLDivElement | null>;
  atEnd: boolean;
  onShown: (element: HTMLElement) => void;
  scrollToEnd: () => void;
} {
  const box = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const follow = useRef(true); // atEnd, before the next render
  const before = useRef({ oldest, height: 0, unsent: 0 });
  const scrollToEnd = useCallback(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, []);
  const keepEnd = useCallback(() => {
    if (follow.current) scrollToEnd();
  }, [scrollToEnd]);
  useEffect(() => {
    const b = box.current!;
    const scrolled = (): void => {
      follow.current = b.scrollHeight - b.scrollTop - b.clientHeight < nearEnd;
      setAtEnd(follow.current);
    };
    b.addEventListener('scroll', scrolled, { passive: true });
    const resized = new ResizeObserver(() => keepEnd());
    resized.observe(b);
    return () => {
      b.removeEventListener('scroll', scrolled);
      resized.disconnect();
    };
  }, [keepEnd]);
  useLayoutEffect(() => {
    const b = box.current!;
    if (unsent > before.current.unsent)
      scrollToEnd(); // an own message is always in view
    else if (oldest < before.current.oldest) b.scrollTop += b.scrollHeight - before.current.height;
    else keepEnd();
    before.current = { oldest, height: b.scrollHeight, unsent };
  }, [oldest, newest, unsent, keepEnd, scrollToEnd]);
  /** Keeps the view in place when an element has reached its height. */
  const onShown = useCallback(
    (element: HTMLElement) => {
      const b = box.current!;
      const grown = b.scrollHeight - before.current.height;
      if (!follow.current && element.getBoundingClientRect().top < b.getBoundingClientRect().top) b.scrollTop += grown;
      before.current.height = b.scrollHeight;
      keepEnd();
    },
    [keepEnd],
  );
  return { box, atEnd, onShown, scrollToEnd };
}

/** Marks the conversation as read up to an entry, when the entry is in view. */
function useRead(conversationID: string, newest: number, inView: boolean): void {
  const { client } = useSession();
  const { phase } = useCall();
  const covered = phase !== 'idle' && phase !== 'ringing'; // by the call
  const marked = useRef(0);
  const mark = useEffectEvent(() => {
    if (!newest || !inView || covered || marked.current >= newest || document.visibilityState !== 'visible') return;
    marked.current = newest;
    client.markConversationRead({ conversationID, seq: newest }).catch(() => {
      marked.current = 0; // repeated with the next entry
    });
  });
  useEffect(() => mark(), [newest, inView, covered]);
  useEffect(() => {
    const shown = (): void => mark();
    document.addEventListener('visibilitychange', shown);
    return () => document.removeEventListener('visibilitychange', shown);
  }, []);
}

/** Returns the messages of a conversation that the server has not acknowledged. */
function useUnsent(conversationID: string): Unsent[] {
  const { inbox } = useSession();
  const [list, set] = useState(() => inbox.unsent(conversationID));
  useEffect(() => {
    const read = (): void => set(inbox.unsent(conversationID));
    read();
    return inbox.on('onUnsent', (e) => {
      if (e.conversationID === conversationID) read();
    });
  }, [inbox, conversationID]);
  return list;
}

/** A message that the server has not acknowledged. */
function UnsentEntry({ m }: { m: Unsent }): ReactNode {
  const { inbox } = useSession();
  const words =
    m.content.text ?? m.content.image?.name ?? m.content.file?.name ?? (m.content.sound ? 'Voice message' : 'Message');
  return (
    <div className="bubble mine unsent">
      <span className="words">{words}</span>
      {m.state === 'sending' ? (
        <time>Sending…</time>
      ) : (
        <span className="failed" role="alert">
          Not sent: {reason(m.error)}
          <Button tone="quiet" onClick={() => void inbox.retry(m.messageID).catch(() => undefined)}>
            Send again
          </Button>
          <Button tone="quiet" onClick={() => inbox.discard(m.messageID)}>
            Discard
          </Button>
        </span>
      )}
    </div>
  );
}

function Entry({
  line,
  mine,
  follows,
  timeline,
  onShown,
  onReply,
  onCall,
}: {
  line: Line;
  mine: readonly string[];
  follows: boolean;
  timeline: Timeline;
  /** The entry has reached its full height. */
  onShown: (element: HTMLElement) => void;
  onReply: (m: Schemas['Message']) => void;
  onCall?: (media: 'video' | 'audio') => void;
}): ReactNode {
  const s = useSession();
  if (line.kind === 'note') return <p className="note">{line.text}</p>;
  if (line.kind === 'call') {
    return (
      <p className={`note call ${line.missed ? 'missed' : ''}`}>
        <Icon name={line.media === 'audio' ? 'phone' : 'video'} />
        <span>
          {line.text} <time>{when(line.time)}</time>
        </span>
        {line.late && (
          <Button
            tone="main"
            onClick={() => {
              s.calls
                .join({ ...line.late!, media: line.media ?? 'video' })
                .catch((err: unknown) => s.fail(err, 'You could not join the call'));
            }}
          >
            Join
          </Button>
        )}
        {line.missed && !line.late && onCall && (
          <Button tone="quiet" onClick={() => onCall(line.media ?? 'video')}>
            Call back
          </Button>
        )}
      </p>
    );
  }
  return <Bubble line={line} mine={mine} follows={follows} timeline={timeline} onShown={onShown} onReply={onReply} />;
}
