import {
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useRef,
  useState,
  type FormEvent,
  type ReactNode,
} from 'react';
import type { Schemas } from 'beckon';
import { linesOf, when, type Line } from './history.js';
import { AddMembers, PickMembers } from './people.js';
import { reason } from './session.js';
import { Avatar, Button, Icon, IconButton, Name, UserAvatar } from './ui.js';
import { go, useCall, useEvent, useName, useSession, useObservable } from './use.js';

const page = 60;

/** A conversation, with a header that starts calls. */
export function Chat({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  useObservable(s.groups);
  const peer = conversationID.startsWith('c2c_') ? conversationID.slice(4) : '';
  const groupID = peer ? '' : conversationID.slice('group_'.length);
  const group = s.group(groupID);
  const peerName = useName(peer);
  const online = useObservable(s.online)[peer];
  const [picking, setPicking] = useState<'video' | 'audio'>();
  const [adding, setAdding] = useState(false);
  const call = (media: 'video' | 'audio', userIDs?: string[]): void => {
    s.calls
      .call(peer ? { userID: peer } : { groupID, userIDs: userIDs ?? [] }, { media })
      .catch((err: unknown) => s.fail(err, 'The call could not be made'));
  };
  const begin = (media: 'video' | 'audio'): void => (peer ? call(media) : setPicking(media));
  return (
    <section className="chat" aria-label={`Conversation with ${peer ? peerName : (group?.name ?? groupID)}`}>
      <header className="top">
        <IconButton icon="back" label="Back to the list" className="round quiet narrow" onClick={() => go('chat')} />
        {peer ? (
          <UserAvatar userID={peer} size={40} />
        ) : (
          <Avatar id={groupID} name={group?.name || groupID} square size={40} />
        )}
        <div className="title">
          <h1>{peer ? peerName : group?.name || groupID}</h1>
          <span className="muted">{peer ? (online ? 'online' : 'away') : group ? `${group.members} people` : ''}</span>
        </div>
        {groupID && <IconButton icon="add" label="Add people to the group" onClick={() => setAdding(true)} />}
        <IconButton icon="phone" label="Voice call" onClick={() => begin('audio')} />
        <IconButton icon="video" label="Video call" tone="main" onClick={() => begin('video')} />
      </header>
      <CallInProgress conversationID={conversationID} />
      <Messages conversationID={conversationID} onCall={(media) => begin(media)} />
      {adding && <AddMembers groupID={groupID} onClose={() => setAdding(false)} />}
      {picking && (
        <PickMembers
          groupID={groupID}
          title="Whom do you want to call?"
          action="Call"
          without={[]}
          onPick={(users) => call(picking, users)}
          onClose={() => setPicking(undefined)}
        />
      )}
    </section>
  );
}

/** A banner to rejoin the call of this conversation that this user has left and that is still in progress. */
function CallInProgress({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  const [call, set] = useState<Schemas['Call']>();
  const { phase } = useCall();
  const link = useObservable(s.link);
  const load = useCallback(async () => {
    const { calls } = await s.client.listCalls({ open: true, limit: 20 });
    const here = calls.find(
      (c) =>
        !c.roomID.startsWith('group_') &&
        (c.groupID
          ? `group_${c.groupID}` === conversationID
          : `c2c_${c.inviter === s.me ? c.invitee : c.inviter}` === conversationID),
    );
    const found = here && (await s.client.getCall({ callID: here.callID })).call;
    const others = found?.people?.some((p) => p.userID !== s.me && !p.left);
    const mine = found?.people?.find((p) => p.userID === s.me);
    set(found && others && mine?.left && !found.ended ? found : undefined);
  }, [s, conversationID]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const scheduleLoads = useCallback(() => {
    const loadAfter = ([wait, ...more]: number[]): void => {
      clearTimeout(timer.current);
      if (wait)
        timer.current = setTimeout(() => {
          load()
            .catch(() => undefined)
            .finally(() => loadAfter(more));
        }, wait);
    };
    loadAfter([500, 2500]); // leaves reach the call record with a delay
  }, [load]);
  useEffect(() => {
    if (link === 'connected' && phase === 'idle') scheduleLoads();
    return () => clearTimeout(timer.current);
  }, [link, phase, scheduleLoads]);
  useEvent('onCallRecord', ({ call: ended }) => {
    if (ended.roomID === call?.roomID) set(undefined);
  });
  if (!call || phase !== 'idle') return null;
  return (
    <div className="banner" role="status">
      <span>Call in progress</span>
      <Button
        tone="main"
        onClick={() => {
          s.calls.rejoin({ roomID: call.roomID }).catch((err: unknown) => {
            s.fail(err, 'You could not join the call');
            scheduleLoads();
          });
        }}
      >
        Join
      </Button>
    </div>
  );
}

/** The messages of a conversation and the composer. */
export function Messages({
  conversationID,
  onCall,
}: {
  conversationID: string;
  onCall?: (media: 'video' | 'audio') => void;
}): ReactNode {
  const s = useSession();
  useObservable(s.names);
  const [entries, setEntries] = useState<Schemas['Entry'][]>();
  const [limit, setLimit] = useState(page);
  const [complete, setComplete] = useState(true);
  const [problem, setProblem] = useState('');
  const latest = useRef(0); // the latest request; responses of earlier ones are dropped
  const load = useCallback(async () => {
    const mine = ++latest.current;
    try {
      const res = await s.client.getHistoryMessageList({ conversationID, limit });
      if (mine !== latest.current) return;
      setEntries(res.messages);
      setComplete(res.complete);
      setProblem('');
      const newest = res.messages[0];
      if (newest && document.visibilityState === 'visible')
        await s.client.markConversationRead({ conversationID, seq: newest.seq }).catch(() => undefined);
      s.refreshSoon();
    } catch (err) {
      if (mine === latest.current) setProblem(reason(err));
    }
  }, [s, conversationID, limit]);
  useEffect(() => {
    void load();
  }, [load]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const reloadSoon = (): void => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void load(), 60);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const link = useObservable(s.link);
  const retry = useEffectEvent(() => {
    if (link === 'connected' && problem) void load();
  });
  useEffect(() => retry(), [link]);
  useEvent('onReceiveMessage', (e) => {
    if (e.conversationID === conversationID) reloadSoon();
  });
  useEvent('onSignaling', reloadSoon);
  useEvent('onGroup', (e) => {
    if (`group_${e.groupID}` === conversationID) reloadSoon();
  });
  useEvent('onMessageRevoked', reloadSoon);
  useEvent('onMessageModified', reloadSoon);
  useEvent('onMessageDeleted', reloadSoon);
  useEvent('onReload', reloadSoon);
  // A device gets no events of its own actions.
  useEffect(() => s.calls.on('onCallEnded', () => setTimeout(reloadSoon, 300)));
  const end = useRef<HTMLDivElement>(null);
  const count = entries?.[0]?.seq ?? 0;
  useLayoutEffect(() => {
    end.current?.scrollIntoView();
  }, [count]);
  const lines = entries ? linesOf(s, entries) : [];
  return (
    <div className="messages">
      <div className="scroll" role="log" aria-live="polite" aria-label="Messages">
        {!complete && (
          <Button tone="quiet" onClick={() => setLimit((n) => n + page)}>
            Earlier messages
          </Button>
        )}
        {!entries && !problem && <p className="muted pad">Reading…</p>}
        {problem && (
          <div className="problem">
            <p>{problem}</p>
            <Button onClick={() => void load()}>Try again</Button>
          </div>
        )}
        {entries && lines.length === 0 && <p className="muted pad">Nothing was said here yet.</p>}
        {lines.map((l, i) => (
          <Entry
            key={l.key}
            line={l}
            follows={lines[i - 1]?.kind === 'message' && lines[i - 1]?.from === l.from}
            conversationID={conversationID}
            {...(onCall ? { onCall } : {})}
          />
        ))}
        <div ref={end} />
      </div>
      <Composer conversationID={conversationID} onSent={reloadSoon} />
    </div>
  );
}

function Entry({
  line,
  follows,
  conversationID,
  onCall,
}: {
  line: Line;
  follows: boolean;
  conversationID: string;
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
        <Picture fileID={m.image.thumbID || m.image.fileID} full={m.image.fileID} />
      ) : m.file && !m.revoked ? (
        <FileLink fileID={m.file.fileID} name={line.text} />
      ) : (
        <span className="words">{line.text}</span>
      )}
      <time>{when(line.time)}</time>
    </div>
  );
}

function Picture({ fileID, full }: { fileID: string; full: string }): ReactNode {
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
      <img
        src={url}
        alt="Picture"
        onLoad={(e) => e.currentTarget.closest('.scroll')?.lastElementChild?.scrollIntoView()}
      />
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

function Composer({ conversationID, onSent }: { conversationID: string; onSent: () => void }): ReactNode {
  const s = useSession();
  const [text, setText] = useState('');
  const picker = useRef<HTMLInputElement>(null);
  const to = conversationID.startsWith('c2c_')
    ? { userID: conversationID.slice(4) }
    : { groupID: conversationID.slice('group_'.length) };
  const send = async (e?: FormEvent): Promise<void> => {
    e?.preventDefault();
    const body = text.trim();
    if (!body) return;
    setText('');
    try {
      await s.client.sendMessage({ ...to, text: body });
      onSent();
    } catch (err) {
      setText(body); // keep the text for another attempt
      s.fail(err, 'The message was not sent');
    }
  };
  const attach = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    try {
      const kind = file.type.startsWith('image/') ? 'image' : 'file';
      const { fileID } = await s.client.uploadFile(file, kind, file.name);
      await s.client.sendMessage({ ...to, [kind]: { fileID, name: file.name } });
      onSent();
    } catch (err) {
      s.fail(err, 'The file was not sent');
    }
  };
  return (
    <form className="composer" onSubmit={(e) => void send(e)}>
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
        onChange={(e) => setText(e.target.value)}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && !e.shiftKey && !e.nativeEvent.isComposing) void send(e);
        }}
      />
      <IconButton icon="send" label="Send" tone="main" type="submit" disabled={!text.trim()} />
    </form>
  );
}
