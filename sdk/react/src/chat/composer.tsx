// The composer of a conversation: text with its draft, mentions and emoji, the message replied to or edited, files with
// progress, voice messages.
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { canRecord } from 'beckon/voice';
import { EmojiPicker } from '../later.js';
import { Name } from '../ui/avatar.js';
import { Button, IconButton } from '../ui/button.js';
import { useSession, useText, useTranslator } from '../use.js';
import { describe } from './lines.js';
import { MentionPicker, mentionsIn, useMembers, wordBefore } from './mentions.js';
import { Recorder } from './recorder.js';
import { kindOfFile, useUploads } from './uploads.js';

type Message = Schemas['Message'];

/** The properties of a Composer. */
export interface ComposerProps {
  conversationID: string;
  /** The message that the next one replies to. */
  replyTo?: Message | undefined;
  /** The message whose text is edited, instead of a new one. */
  editing?: Message | undefined;
  /** The reply or the edit was sent, or is not wanted any more. */
  onDone: () => void;
}

/** The composer of a conversation. */
export function Composer(props: ComposerProps): ReactNode {
  return <Box key={`${props.conversationID} ${props.editing?.messageID ?? ''}`} {...props} />;
}

function Box({ conversationID, replyTo, editing, onDone }: ComposerProps): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const { inbox } = s;
  const [text, setText] = useState(() => editing?.text ?? inbox.draft(conversationID));
  const [recording, setRecording] = useState(false);
  const [emoji, setEmoji] = useState(false);
  const [dropping, setDropping] = useState(false);
  const [caret, setCaret] = useState(0);
  const picker = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  const touched = useRef(Boolean(editing));
  const uploads = useUploads(conversationID);
  const groupID = conversationID.startsWith('group_') ? conversationID.slice('group_'.length) : '';
  const query = groupID && !editing ? wordBefore(text, caret) : undefined; // after the @ at the caret
  const members = useMembers(groupID, text.includes('@'));
  useEffect(
    () =>
      inbox.on('onUnsent', () => {
        if (!touched.current) setText(inbox.draft(conversationID)); // that of an earlier page
      }),
    [inbox, conversationID],
  );
  useEffect(() => {
    if (replyTo || editing) box.current?.focus();
  }, [replyTo, editing]);
  const write = (words: string): void => {
    touched.current = true;
    setText(words);
    if (editing) return;
    inbox.setDraft(conversationID, words);
    inbox.typing.report(conversationID, words.trim());
  };
  /** Replaces the characters before the caret. */
  const insert = (words: string, before = 0): void => {
    const at = box.current?.selectionStart ?? text.length;
    write(text.slice(0, at - before) + words + text.slice(at));
    const to = at - before + words.length;
    setCaret(to);
    requestAnimationFrame(() => {
      box.current?.focus();
      box.current?.setSelectionRange(to, to);
    });
  };
  const reply = replyTo ? { replyTo: replyTo.messageID } : {};
  const send = (e?: FormEvent): void => {
    e?.preventDefault();
    const body = text.trim();
    if (!body) return;
    if (editing) {
      const { messageID, version = 0 } = editing;
      if (body === editing.text) return onDone();
      s.client
        .modifyMessage({ conversationID, messageID, version, text: body })
        .then(onDone, (err: unknown) => s.fail(err, 'failed.edit'));
      return;
    }
    touched.current = true;
    setText('');
    setEmoji(false);
    inbox.setDraft(conversationID, '');
    const group = groupID ? { needReadReceipt: true, ...mentionsIn(body, members, t('mention.all')) } : {};
    inbox.send(conversationID, { text: body, ...reply, ...group }).catch(() => undefined); // shown as unsent
    onDone();
  };
  const attach = (files: readonly File[]): void => {
    for (const f of files) void uploads.send(f, kindOfFile(f), f.name, reply);
    if (files.length) onDone();
  };
  const quoted = editing ?? replyTo;
  return (
    <div
      className={`compose ${dropping ? 'dropping' : ''}`}
      onDragOver={(e) => {
        e.preventDefault();
        setDropping(e.dataTransfer.types.includes('Files'));
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={(e) => {
        setDropping(false);
        if (!e.dataTransfer.files.length) return; // text
        e.preventDefault();
        attach([...e.dataTransfer.files]);
      }}
    >
      {quoted && (
        <p className="replying">
          <span>
            <b>{editing ? t('edit') : <Name id={quoted.from} />}</b> {describe(translator, quoted)}
          </span>
          <IconButton icon="close" label={t(editing ? 'edit.stop' : 'reply.stop')} onClick={onDone} />
        </p>
      )}
      {uploads.list.map((u) => (
        <p className="upload" key={u.id}>
          <span>{u.name || t('message.voice')}</span>
          <progress value={u.share} max={1} aria-label={t('upload.of', { name: u.name || t('message.voice') })} />
          <IconButton icon="close" label={t('upload.cancel')} onClick={u.cancel} />
        </p>
      ))}
      {query !== undefined && (
        <MentionPicker members={members} query={query} onPick={(name) => insert(`@${name} `, query.length + 1)} />
      )}
      {emoji && <EmojiPicker onPick={(e) => insert(e)} />}
      {recording ? (
        <Recorder
          onEnd={(r) => {
            setRecording(false);
            if (!r) return;
            void uploads.send(r.body, 'sound', '', { duration: r.duration, ...reply });
            onDone();
          }}
        />
      ) : (
        <form className="composer" onSubmit={send}>
          {!editing && <IconButton icon="clip" label={t('file.send')} onClick={() => picker.current?.click()} />}
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
            placeholder={t('write')}
            aria-label={t('write')}
            onChange={(e) => {
              setCaret(e.target.selectionStart);
              write(e.target.value);
            }}
            onSelect={(e) => setCaret(e.currentTarget.selectionStart)}
            onPaste={(e) => {
              // tables and formatted text come with a picture of themselves
              if (!e.clipboardData.types.includes('text/plain')) attach([...e.clipboardData.files]);
            }}
            onKeyDown={(e) => {
              if (e.nativeEvent.isComposing) return;
              if (e.key === 'Enter' && !e.shiftKey) {
                e.preventDefault();
                send();
              }
              if (e.key === 'Escape') onDone();
            }}
          />
          <IconButton icon="smile" label={t('emoji')} aria-expanded={emoji} onClick={() => setEmoji(!emoji)} />
          {editing ? (
            <Button tone="main" type="submit" disabled={!text.trim()}>
              {t('save')}
            </Button>
          ) : !text.trim() && canRecord() ? (
            <IconButton icon="mic" label={t('voice.record')} onClick={() => setRecording(true)} />
          ) : (
            <IconButton icon="send" label={t('send')} tone="main" type="submit" disabled={!text.trim()} />
          )}
        </form>
      )}
    </div>
  );
}
