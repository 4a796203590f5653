// The composer of a conversation: text with its draft, the message replied to, files with progress, voice messages.
import { useCallback, useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import type { FileKind, Schemas } from 'beckon';
import type { Content } from 'beckon/inbox';
import { canRecord, VoiceRecorder, type Recording } from 'beckon/voice';
import { describe } from './history.js';
import { Button, IconButton, Name } from './ui.js';
import { duration, useSession } from './use.js';

type Message = Schemas['Message'];

/** An upload in progress. */
interface Sending {
  id: number;
  name: string;
  share: number; // 0 to 1
  cancel: () => void;
}

let uploads = 0;

/** Uploads files and sends them as messages. */
function useUploads(conversationID: string): {
  list: Sending[];
  send: (file: Blob, kind: FileKind, name: string, more: { duration?: number; replyTo?: string }) => Promise<void>;
} {
  const s = useSession();
  const [list, set] = useState<Sending[]>([]);
  const send = async (
    file: Blob,
    kind: FileKind,
    name: string,
    { duration, replyTo }: { duration?: number; replyTo?: string },
  ): Promise<void> => {
    const stop = new AbortController();
    const id = ++uploads;
    const share = (share: number): void => set((all) => all.map((u) => (u.id === id ? { ...u, share } : u)));
    set((all) => [...all, { id, name, share: 0, cancel: () => stop.abort() }]);
    try {
      const { fileID } = await s.client.uploadFile({
        ...{ body: file, kind, name, signal: stop.signal },
        onProgress: (sent, total) => share(total ? sent / total : 0),
      });
      const elem = { fileID, ...(name ? { name } : {}), ...(duration ? { duration } : {}) };
      const content = { [kind]: elem, ...(replyTo ? { replyTo } : {}) } as Content;
      s.inbox.send(conversationID, content).catch(() => undefined); // shown as unsent
    } catch (err) {
      if (!stop.signal.aborted) s.fail(err, 'The file was not sent');
    } finally {
      set((all) => all.filter((u) => u.id !== id));
    }
  };
  return { list, send };
}

export function Composer({
  conversationID,
  replyTo,
  onReplied,
}: {
  conversationID: string;
  replyTo: Message | undefined;
  /** The reply was sent, or is not wanted any more. */
  onReplied: () => void;
}): ReactNode {
  const { inbox } = useSession();
  const [text, setText] = useState(() => inbox.draft(conversationID));
  const [recording, setRecording] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const touched = useRef(false);
  const uploads = useUploads(conversationID);
  useEffect(
    () =>
      inbox.on('onUnsent', () => {
        if (!touched.current) setText(inbox.draft(conversationID)); // that of an earlier page
      }),
    [inbox, conversationID],
  );
  useEffect(() => {
    if (replyTo) box.current?.focus();
  }, [replyTo]);
  const write = (words: string): void => {
    touched.current = true;
    setText(words);
    inbox.setDraft(conversationID, words);
    inbox.typing.report(conversationID, words.trim());
  };
  const reply = replyTo ? { replyTo: replyTo.messageID } : {};
  const send = (e?: FormEvent): void => {
    e?.preventDefault();
    const body = text.trim();
    if (!body) return;
    touched.current = true;
    setText('');
    inbox.setDraft(conversationID, '');
    inbox.send(conversationID, { text: body, ...reply }).catch(() => undefined); // shown as unsent
    onReplied();
  };
  const attach = (files: readonly File[]): void => {
    for (const f of files) void uploads.send(f, f.type.startsWith('image/') ? 'image' : 'file', f.name, reply);
    if (files.length) onReplied();
  };
  return (
    <div
      className="compose"
      onDragOver={(e) => e.preventDefault()}
      onDrop={(e) => {
        if (!e.dataTransfer.files.length) return; // text
        e.preventDefault();
        attach([...e.dataTransfer.files]);
      }}
    >
      {replyTo && (
        <p className="replying">
          <span>
            <b>
              <Name id={replyTo.from} />
            </b>{' '}
            {describe(replyTo)}
          </span>
          <IconButton icon="close" label="Do not reply" onClick={onReplied} />
        </p>
      )}
      {uploads.list.map((u) => (
        <p className="upload" key={u.id}>
          <span>{u.name || 'Voice message'}</span>
          <progress value={u.share} max={1} aria-label={`Upload of ${u.name || 'the voice message'}`} />
          <IconButton icon="close" label="Cancel the upload" onClick={u.cancel} />
        </p>
      ))}
      {recording ? (
        <Recorder
          onEnd={(r) => {
            setRecording(false);
            if (!r) return;
            void uploads.send(r.body, 'sound', '', { duration: r.duration, ...reply });
            onReplied();
          }}
        />
      ) : (
        <form className="composer" onSubmit={send}>
          <IconButton icon="clip" label="Send a file" onClick={() => picker.current?.click()} />
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            onChange={(e) => {
              attach([...(e.target.files ?? [])]);
              e.target.value = '';
            }}
          />
          <textarea
            ref={box}
            rows={1}
            value={text}
            dir="auto"
            placeholder="Write a message"
            aria-label="Write a message"
            onChange={(e) => write(e.target.value)}
            onPaste={(e) => {
              // tables and formatted text come with a picture of themselves
              if (!e.clipboardData.types.includes('text/plain')) attach([...e.clipboardData.files]);
            }}
            onKeyDown={(e) => {
              if (e.key === 'Enter' && !e.shiftKey && !e.nativeEvent.isComposing) send();
              if (e.key === 'Escape' && !e.nativeEvent.isComposing) onReplied();
            }}
          />
          {!text.trim() && canRecord() ? (
            <IconButton icon="mic" label="Record a voice message" onClick={() => setRecording(true)} />
          ) : (
            <IconButton icon="send" label="Send" tone="main" type="submit" disabled={!text.trim()} />
          )}
        </form>
      )}
    </div>
  );
}

/** The bar that records a voice message. onEnd gets it, or undefined when it was cancelled. */
function Recorder({ onEnd }: { onEnd: (r: Recording | undefined) => void }): ReactNode {
  const s = useSession();
  const [recorder] = useState(() => new VoiceRecorder());
  const [shown, setShown] = useState(0);
  const [began, setBegan] = useState(false);
  const finished = useRef(false); // by the first of Send, Cancel, the limit, an error, and the end of the view
  const latest = useRef(onEnd);
  useEffect(() => {
    latest.current = onEnd;
  });
  const end = useCallback((r: Recording | undefined): void => {
    if (!finished.current) latest.current(r);
    finished.current = true;
  }, []);
  const finish = useCallback((): void => {
    recorder.stop().then(
      (r) => end(r),
      () => end(undefined),
    );
  }, [recorder, end]);
  useEffect(() => {
    recorder.start().then(
      () => setBegan(true),
      (err: unknown) => {
        if (!finished.current) s.fail(err, 'The microphone could not be used');
        end(undefined);
      },
    );
    const timer = setInterval(() => setShown(recorder.duration), 250);
    const off = recorder.on('onLimit', finish);
    return () => {
      finished.current = true;
      off();
      clearInterval(timer);
      recorder.cancel();
    };
  }, [recorder, s, end, finish]);
  return (
    <div className="composer recording" role="group" aria-label="Recording a voice message">
      <span className="live" aria-hidden="true" />
      <span role="timer">{duration(shown)}</span>
      <Button
        tone="quiet"
        onClick={() => {
          finished.current = true;
          onEnd(undefined);
        }}
      >
        Cancel
      </Button>
      <IconButton icon="send" label="Send the voice message" tone="main" disabled={!began} onClick={finish} />
    </div>
  );
}
