// The messages of a conversation: its timeline, the unsent messages, and the composer.
import {
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type FormEvent,
  type ReactNode,
  type RefObject,
} from 'react';
import type { Timeline, Unsent } from 'beckon/inbox';
import { linesOf, when, type Line } from './history.js';
import { reason } from './session.js';
import { Button, Icon, IconButton, Name } from './ui.js';
import { useCall, useObservable, useSession } from './use.js';

/** Distance from the end, in pixels, within which new messages keep the end in view. */
const nearEnd = 80;

type OnCall = (media: 'video' | 'audio') => void;

/** The messages of a conversation and the composer. */
export function Messages({ conversationID, onCall }: { conversationID: string; onCall?: OnCall }): ReactNode {
  const { inbox } = useSession();
  const [timeline, set] = useState<Timeline>();
  useEffect(() => {
    const t = inbox.timeline(conversationID);
    set(t);
    return () => t.close();
  }, [inbox, conversationID]);
  return (
    <div className="messages">
      {timeline?.conversationID === conversationID && <Lines timeline={timeline} {...(onCall ? { onCall } : {})} />}
      <Composer key={conversationID} conversationID={conversationID} />
    </div>
  );
}

/** The entries of a timeline, and below them the unsent messages. */
function Lines({ timeline, onCall }: { timeline: Timeline; onCall?: OnCall }): ReactNode {
  const s = useSession();
  const { conversationID } = timeline;
  useObservable(s.names);
  const subscribe = useCallback((changed: () => void) => timeline.on('onChanged', changed), [timeline]);
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
            conversationID={conversationID}
            onShown={onShown}
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
  const words = m.content.text ?? m.content.image?.name ?? m.content.file?.name ?? 'Message';
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
  follows,
  conversationID,
  onShown,
  onCall,
}: {
  line: Line;
  follows: boolean;
  conversationID: string;
  /** The entry has reached its full height. */
  onShown: (element: HTMLElement) => void;
  onCall?: (media: 'video' | 'audio') => void;
}): ReactNode {
  const s = useSession();
  const mine = line.from === s.me;
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
  const m = line.message!;
  return (
    <div className={`bubble ${mine ? 'mine' : ''} ${follows ? 'follows' : ''} ${m.revoked ? 'revoked' : ''}`}>
      {!mine && !follows && conversationID.startsWith('group_') && (
        <strong>
          <Name id={line.from} />
        </strong>
      )}
      {m.image && !m.revoked ? (
        <Picture fileID={m.image.thumbID || m.image.fileID} full={m.image.fileID} onShown={onShown} />
      ) : m.file && !m.revoked ? (
        <FileLink fileID={m.file.fileID} name={line.text} />
      ) : (
        <span className="words">{line.text}</span>
      )}
      <time>{when(line.time)}</time>
    </div>
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

function Composer({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  const { inbox } = s;
  const [text, setText] = useState(() => inbox.draft(conversationID));
  const picker = useRef<HTMLInputElement>(null);
  const touched = useRef(false);
  useEffect(
    () =>
      inbox.on('onUnsent', () => {
        if (!touched.current) setText(inbox.draft(conversationID)); // that of an earlier page
      }),
    [inbox, conversationID],
  );
  const write = (words: string): void => {
    touched.current = true;
    setText(words);
    inbox.setDraft(conversationID, words);
  };
  const send = (e?: FormEvent): void => {
    e?.preventDefault();
    const body = text.trim();
    if (!body) return;
    write('');
    inbox.send(conversationID, { text: body }).catch(() => undefined); // shown as unsent
  };
  const attach = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    const kind = file.type.startsWith('image/') ? 'image' : 'file';
    try {
      const { fileID } = await s.client.uploadFile(file, kind, file.name);
      inbox.send(conversationID, { [kind]: { fileID, name: file.name } }).catch(() => undefined);
    } catch (err) {
      s.fail(err, 'The file was not sent');
    }
  };
  return (
    <form className="composer" onSubmit={send}>
      <IconButton icon="clip" label="Send a file" onClick={() => picker.current?.click()} />
      <input
        ref={picker}
        type="file"
        hidden
        onChange={(e) => {
          void attach(e.target.files?.[0]);
          e.target.value = '';
        }}
      />
      <textarea
        rows={1}
        value={text}
        placeholder="Write a message"
        aria-label="Write a message"
        onChange={(e) => write(e.target.value)}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && !e.shiftKey && !e.nativeEvent.isComposing) send();
        }}
      />
      <IconButton icon="send" label="Send" tone="main" type="submit" disabled={!text.trim()} />
    </form>
  );
}
