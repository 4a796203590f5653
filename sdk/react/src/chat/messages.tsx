// The messages of a conversation: its timeline and the unsent messages, of which only those in view are rendered.
import {
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import { Virtualizer, type VirtualizerHandle } from 'virtua';
import { conversationOf, type Schemas } from 'beckon';
import type { Timeline, Unsent } from 'beckon/inbox';
import { oncePerFrame } from '../frame.js';
import { Button } from '../ui/button.js';
import { useCovered, useEvent, useObservable, useSession, useText, useTranslator } from '../use.js';
import { Composer } from './composer.js';
import { LineView, UnsentView, type Conversing } from './line.js';
import { beginsDay, describe, Lines, type Line } from './lines.js';
import { TypingLine } from './typing.js';

/** Distance from the end, in pixels, within which new messages keep the end in view. */
const nearEnd = 80;

/** Distance from the oldest or newest loaded entry, in pixels, within which the next page is read. */
const nearEdge = 900;

/** Time in which the list measures new lines, in milliseconds. */
const settleTime = 300;

/** Time for which the target of a jump is marked, in milliseconds. */
const markTime = 2000;

/** The properties of Messages. */
export interface MessagesProps {
  conversationID: string;
  /** Called by a missed call: the user wants to call back. */
  onCall?: (media: 'video' | 'audio') => void;
  /** An entry to show, as one that was found by a search. Each new object is a jump. */
  target?: { seq: number };
}

/** The messages of a conversation and the composer. */
export function Messages({ conversationID, onCall, target }: MessagesProps): ReactNode {
  const { inbox, me } = useSession();
  const [timeline, set] = useState<Timeline>();
  const [reply, setReply] = useState<Schemas['Message']>();
  const [editing, setEditing] = useState<Schemas['Message']>();
  useEvent('onMessageRevoked', ({ messageID }) => {
    if (messageID === reply?.messageID) setReply(undefined);
    if (messageID === editing?.messageID) setEditing(undefined);
  });
  useEffect(() => {
    const t = inbox.timeline(conversationID);
    set(t);
    return () => t.close();
  }, [inbox, conversationID]);
  const here = (m: Schemas['Message'] | undefined): Schemas['Message'] | undefined =>
    m && conversationOf(me, m) === conversationID ? m : undefined;
  return (
    <div className="messages">
      {timeline?.conversationID === conversationID && (
        <MessageList
          timeline={timeline}
          {...(target ? { target } : {})}
          {...(onCall ? { onCall } : {})}
          onReply={(m) => {
            setEditing(undefined);
            setReply(m);
          }}
          onEdit={(m) => {
            setReply(undefined);
            setEditing(m);
          }}
        />
      )}
      <TypingLine conversationID={conversationID} />
      <Composer
        conversationID={conversationID}
        replyTo={here(reply)}
        editing={here(editing)}
        onDone={() => {
          setReply(undefined);
          setEditing(undefined);
        }}
      />
    </div>
  );
}

/** The properties of a MessageList. */
export interface MessageListProps {
  timeline: Timeline;
  onReply: (m: Schemas['Message']) => void;
  onEdit: (m: Schemas['Message']) => void;
  onCall?: (media: 'video' | 'audio') => void;
  /** An entry to show, as one that was found by a search. Each new object is a jump. */
  target?: { seq: number };
}

/** The entries of a timeline, and below them the unsent messages. */
export function MessageList({ timeline, onReply, onEdit, onCall, target }: MessageListProps): ReactNode {
  const s = useSession();
  const t = useText();
  const { conversationID } = timeline;
  useObservable(s.profiles);
  const unsent = useUnsent(conversationID);
  const { lines, newest, opened, problem, load, loads, loading, again } = useLines(timeline, target?.seq);
  const { box, list, atEnd, shift, missed, scrollToEnd, leaveEnd, onScroll } = usePlace(
    timeline,
    lines,
    unsent.length,
    { load, loads, loading },
  );
  useRead(conversationID, newest, lines, atEnd && !timeline.hasNewer);
  const [marked, setMarked] = useState(0); // the entry that a jump shows
  const wanted = useRef(0); // the entry to scroll to, once it is a line
  const show = useCallback(
    (to: number): void => {
      wanted.current = to;
      leaveEnd();
      setMarked(to);
    },
    [leaveEnd],
  );
  const jump = useCallback(
    (to: number): void => {
      if (timeline.entries.some((e) => e.seq === to)) show(to);
      else load(() => timeline.jump(to).then(() => show(to)));
    },
    [timeline, load, show],
  );
  useEffect(() => {
    if (target && opened) jump(target.seq);
  }, [target, opened, jump]);
  useEffect(() => {
    const i = wanted.current ? lines.findIndex((l) => l.entry.seq === wanted.current) : -1;
    if (i < 0) return;
    wanted.current = 0;
    list.current?.scrollToIndex(i, { align: 'center' });
  }, [marked, lines, list]);
  useEffect(() => {
    if (!marked) return;
    const timer = setTimeout(() => setMarked(0), markTime);
    return () => clearTimeout(timer);
  }, [marked]);
  const [held, setHeld] = useState<ReadonlyMap<string, number>>(new Map());
  const hold = useCallback((key: string, on: boolean): void => {
    setHeld((all) => new Map(all).set(key, (all.get(key) ?? 0) + (on ? 1 : -1)));
  }, []);
  const conversing: Conversing = { timeline, onReply, onEdit, jump, hold, ...(onCall ? { onCall } : {}) };
  const items: (Line | Unsent)[] = [...lines, ...unsent];
  const kept = [...held].flatMap(([key, n]) => {
    const i = n > 0 ? lines.findIndex((l) => l.key === key) : -1;
    return i < 0 ? [] : [i];
  });
  return (
    <>
      <div className="scroll" role="log" aria-live="off" aria-label={t('messages')} tabIndex={0} ref={box}>
        {!opened && !problem && <p className="muted pad">{t('messages.reading')}</p>}
        {problem && (
          <div className="problem">
            <p>{problem}</p>
            <Button onClick={again}>{t('tryAgain')}</Button>
          </div>
        )}
        {opened && !timeline.hasOlder && items.length === 0 && <p className="muted pad">{t('messages.none')}</p>}
        <Virtualizer
          ref={list}
          scrollRef={box}
          data={items}
          shift={shift}
          keepMounted={kept}
          bufferSize={600}
          onScroll={onScroll}
        >
          {(item, i) =>
            'entry' in item ? (
              <LineView
                key={item.key}
                line={item}
                day={beginsDay(item, lines[i - 1])}
                follows={follows(item, lines[i - 1])}
                marked={marked === item.entry.seq}
                conversing={conversing}
              />
            ) : (
              <UnsentView key={item.messageID} m={item} />
            )
          }
        </Virtualizer>
      </div>
      <Announcement lines={lines} atEnd={atEnd} />
      <div className="latest">
        {(!atEnd || timeline.hasNewer) && (
          <Button onClick={() => (timeline.hasNewer ? load(() => timeline.latest().then(scrollToEnd)) : scrollToEnd())}>
            {missed ? t('messages.new', { count: missed }) : t('messages.latest')}
          </Button>
        )}
      </div>
    </>
  );
}

/** Reads a new message to users of screen readers. The list itself changes with each scroll. */
function Announcement({ lines, atEnd }: { lines: readonly Line[]; atEnd: boolean }): ReactNode {
  const s = useSession();
  const translator = useTranslator();
  const last = lines.at(-1);
  const [first] = useState(() => s.client.now());
  const fresh = atEnd && last?.message && last.from !== s.me && last.time > first;
  return (
    <p className="hidden-text" aria-live="polite">
      {fresh && `${s.name(last.from)}: ${describe(translator, last.message!)}`}
    </p>
  );
}

function follows(line: Line, before: Line | undefined): boolean {
  return before?.kind === 'message' && before.from === line.from && !beginsDay(line, before);
}

/** Reads the pages of a timeline, and returns its lines. */
function useLines(
  timeline: Timeline,
  seq: number | undefined,
): {
  lines: readonly Line[];
  newest: number;
  opened: boolean;
  problem: string;
  /** Runs a load. The timeline runs one after another. */
  load: (run: () => Promise<unknown>) => void;
  /** Finished loads. */
  loads: number;
  /** A load is running. */
  loading: React.RefObject<boolean>;
  again: () => void;
} {
  const s = useSession();
  const subscribe = useCallback(
    (changed: () => void) => oncePerFrame(changed, (f) => timeline.on('onChanged', f)),
    [timeline],
  );
  const entries = useSyncExternalStore(subscribe, () => timeline.entries);
  useSyncExternalStore(subscribe, () => timeline.peerReadSeq); // for the ticks
  const [model] = useState(() => new Lines(s.me));
  const lines = model.of(entries);
  const [opened, setOpened] = useState(false);
  const [problem, setProblem] = useState('');
  const failed = useRef(() => timeline.open() as Promise<unknown>);
  const loading = useRef(false);
  const [loads, setLoads] = useState(0);
  const load = useCallback(
    (run: () => Promise<unknown>): void => {
      loading.current = true;
      failed.current = run;
      run()
        .then(
          () => {
            setOpened(true);
            setProblem('');
            loading.current = false;
            setLoads((n) => n + 1);
          },
          (err: unknown) => setProblem(s.reason(err)),
        )
        .finally(() => {
          loading.current = false;
        });
    },
    [s],
  );
  const first = useEffectEvent(() => (seq ? timeline.jump(seq) : timeline.open()));
  useEffect(() => {
    load(() => first());
  }, [load, timeline]);
  const link = useObservable(s.link);
  const retry = useEffectEvent(() => {
    if (link === 'connected' && problem) load(failed.current);
  });
  useEffect(() => retry(), [link]);
  const again = useCallback(() => load(failed.current), [load]);
  return { lines, newest: entries.at(-1)?.seq ?? 0, opened, problem, load, loads, loading, again };
}

/** Keeps the view in place: at the end while it is there, else at the same entry. It reads pages near the edges. */
function usePlace(
  timeline: Timeline,
  lines: readonly Line[],
  unsent: number,
  { load, loads, loading }: Pick<ReturnType<typeof useLines>, 'load' | 'loads' | 'loading'>,
): {
  box: React.RefObject<HTMLDivElement | null>;
  list: React.RefObject<VirtualizerHandle | null>;
  atEnd: boolean;
  /** The lines are longer at their start: the view keeps its distance from the end. */
  shift: boolean;
  /** New lines since the end was in view. */
  missed: number;
  scrollToEnd: () => void;
  /** New lines do not scroll to the end any more. */
  leaveEnd: () => void;
  onScroll: () => void;
} {
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const [atEnd, setAtEnd] = useState(true);
  const follow = useRef(true); // atEnd, before the next render
  const height = useRef(0); // of the lines, at the last scroll
  const settling = useRef(0); // until this time the list measures the lines at the end, unless the user scrolls
  const [seen, setSeen] = useState(0); // the newest line when the end was last in view
  const oldest = lines[0]?.entry.seq ?? 0;
  const newest = lines.at(-1)?.entry.seq ?? 0;
  const [before, setBefore] = useState({ oldest, newest });
  // The first render with more lines at the start.
  const shift = before.oldest > 0 && oldest > 0 && oldest < before.oldest && newest >= before.newest;
  const count = lines.length + unsent;
  const stay = useCallback(() => {
    const b = box.current;
    if (b) b.scrollTop = b.scrollHeight;
  }, []);
  const scrollToEnd = useCallback(() => {
    follow.current = true;
    settling.current = performance.now() + settleTime;
    list.current?.scrollTo(list.current.scrollSize); // ends a scroll to an entry that still measures lines
    stay();
  }, [stay]);
  const leaveEnd = useCallback(() => {
    follow.current = false;
    settling.current = 0;
  }, []);
  const onScroll = useCallback((): void => {
    const b = box.current;
    if (!b) return;
    const fromEnd = b.scrollHeight - b.scrollTop - b.clientHeight;
    // The position changed by a measurement of lines, not by the user.
    const grown = b.scrollHeight !== height.current || performance.now() < settling.current;
    height.current = b.scrollHeight;
    if (fromEnd < nearEnd) follow.current = true;
    else if (follow.current && grown && !timeline.hasNewer) return stay();
    else follow.current = false;
    setAtEnd(follow.current);
    if (loading.current) return;
    if (b.scrollTop < nearEdge && timeline.hasOlder && timeline.entries.length) load(() => timeline.older());
    else if (fromEnd < nearEdge && timeline.hasNewer) load(() => timeline.newer());
  }, [timeline, load, loading, stay]);
  useLayoutEffect(() => {
    setBefore({ oldest, newest });
  }, [oldest, newest]);
  const own = useRef(0);
  useLayoutEffect(() => {
    if (unsent > own.current) {
      follow.current = true; // an own message is always in view
      if (timeline.hasNewer) load(() => timeline.latest());
    }
    own.current = unsent;
    if (!follow.current || timeline.hasNewer) return;
    setSeen(newest);
    scrollToEnd();
  }, [timeline, count, newest, unsent, load, scrollToEnd]);
  // A page of entries may have few lines or none. Without a scrollbar there is no scroll event, so it loads the next page.
  useEffect(() => {
    const b = box.current;
    if (!b || !loads || !timeline.hasOlder || loading.current) return;
    if (b.scrollHeight <= b.clientHeight || (b.scrollTop < nearEdge && !follow.current)) load(() => timeline.older());
  }, [timeline, loads, loading, load]);
  useEffect(() => {
    // Pictures and quotes reach their height later, and the page has less height with a keyboard.
    const b = box.current!;
    const input = (): void => {
      settling.current = 0;
    };
    for (const name of ['wheel', 'touchmove', 'keydown', 'pointerdown'])
      b.addEventListener(name, input, { passive: true });
    const resized = new ResizeObserver(() => {
      if (follow.current && !timeline.hasNewer) stay();
      else onScroll();
    });
    resized.observe(b);
    for (const child of b.children) resized.observe(child);
    return () => {
      resized.disconnect();
      for (const name of ['wheel', 'touchmove', 'keydown', 'pointerdown']) b.removeEventListener(name, input);
    };
  }, [timeline, stay, onScroll]);
  const missed = atEnd || timeline.hasNewer || !seen ? 0 : lines.length - firstAfter(lines, seen);
  return { box, list, atEnd, shift, missed, scrollToEnd, leaveEnd, onScroll };
}

/** Returns the index of the first line after a sequence. */
function firstAfter(lines: readonly Line[], seq: number): number {
  let i = lines.length;
  while (i > 0 && lines[i - 1]!.entry.seq > seq) i--;
  return i;
}

/** Read receipts in one request of the server. */
const maxReceipts = 30;

/** Marks the conversation as read up to an entry, when the entry is in view, and sends the read receipts of a group. */
function useRead(conversationID: string, newest: number, lines: readonly Line[], inView: boolean): void {
  const { client, me, receipts } = useSession();
  const covered = useCovered(); // by the call
  const marked = useRef(0);
  const mark = useEffectEvent(() => {
    if (!newest || !inView || covered || marked.current >= newest || document.visibilityState !== 'visible') return;
    const before = marked.current;
    marked.current = newest;
    client.markConversationRead({ conversationID, seq: newest }).catch(() => {
      marked.current = 0; // repeated with the next entry
    });
    if (!conversationID.startsWith('group_')) return;
    const messageIDList = lines
      .slice(firstAfter(lines, before))
      .flatMap(({ message: m }) => (m?.needReadReceipt && m.from !== me && !m.revoked ? [m.messageID] : []))
      .filter((id) => !receipts.has(id));
    const groupID = conversationID.slice('group_'.length);
    for (let i = 0; i < messageIDList.length; i += maxReceipts) {
      const list = messageIDList.slice(i, i + maxReceipts);
      for (const id of list) receipts.add(id);
      client.sendMessageReadReceipts({ groupID, messageIDList: list }).catch(() => {
        for (const id of list) receipts.delete(id); // sent when the conversation is opened again
      });
    }
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
