// The content of a message: text with links, pictures, videos, voice messages, files, forwarded messages.
import { Fragment, useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Dialog } from '../ui/dialog.js';
import { Icon } from '../ui/icon.js';
import { Name } from '../ui/avatar.js';
import { duration, useSession, useText, useTranslator } from '../use.js';
import { useHold } from './held.js';
import { describe } from './lines.js';

type Message = Schemas['Message'];

/** The content of a message that was not recalled. */
export function Content({ m }: { m: Message }): ReactNode {
  const translator = useTranslator();
  const text = describe(translator, m);
  if (m.revoked) return <span className="words">{text}</span>;
  if (m.image) return <Picture image={m.image} />;
  if (m.video) return <Video video={m.video} />;
  if (m.sound) return <Voice sound={m.sound} />;
  if (m.file) return <FileLink file={m.file} name={text} />;
  if (m.merged) return <Merged merged={m.merged} />;
  return (
    <span className="words" dir="auto">
      <Linked text={text} />
    </span>
  );
}

/** Addresses in a text: with http, or that begin with www. The end has no punctuation of the sentence. */
const address = /\b(?:https?:\/\/|www\.)[^\s<>"']*[^\s<>"'.,;:!?)\]}，。；：！？）】]/gi;

/** A text, whose addresses are links. */
export function Linked({ text }: { text: string }): ReactNode {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const found of text.matchAll(address)) {
    const url = found[0];
    parts.push(
      <Fragment key={end}>{text.slice(end, found.index)}</Fragment>,
      <a key={`a${found.index}`} href={/^https?:/i.test(url) ? url : `https://${url}`} target="_blank" rel="noreferrer">
        {url}
      </a>,
    );
    end = found.index + url.length;
  }
  return (
    <>
      {parts}
      {text.slice(end)}
    </>
  );
}

/** Returns the address of a file, once it is known; an empty string before. */
function useFile(fileID: string): string {
  const s = useSession();
  const [url, set] = useState(() => s.knownURL(fileID));
  useEffect(() => {
    let current = true;
    s.fileURL(fileID).then(
      (u) => current && set(u),
      () => undefined, // the text stays
    );
    return () => {
      current = false;
    };
  }, [s, fileID]);
  return url;
}

function Picture({ image }: { image: NonNullable<Message['image']> }): ReactNode {
  const t = useText();
  const [open, setOpen] = useState(false);
  useHold(open);
  const url = useFile(image.thumbID || image.fileID);
  if (!url) return <span className="words">{t('message.picture')}</span>;
  return (
    <>
      <button type="button" className="picture" aria-label={t('viewer.open')} onClick={() => setOpen(true)}>
        <img src={url} alt={image.name || t('message.picture')} />
      </button>
      {open && <Viewer fileID={image.fileID} name={image.name ?? ''} kind="image" onClose={() => setOpen(false)} />}
    </>
  );
}

function Video({ video }: { video: NonNullable<Message['video']> }): ReactNode {
  const t = useText();
  const [open, setOpen] = useState(false);
  useHold(open);
  return (
    <>
      <button type="button" className="words link" onClick={() => setOpen(true)}>
        <Icon name="video" /> {video.name || t('message.video')}
      </button>
      {open && <Viewer fileID={video.fileID} name={video.name ?? ''} kind="video" onClose={() => setOpen(false)} />}
    </>
  );
}

/** A picture or a video over the whole page. */
function Viewer({
  fileID,
  name,
  kind,
  onClose,
}: {
  fileID: string;
  name: string;
  kind: 'image' | 'video';
  onClose: () => void;
}): ReactNode {
  const t = useText();
  const url = useFile(fileID);
  const title = name || t(kind === 'image' ? 'message.picture' : 'message.video');
  return (
    <Dialog title={title} className="viewer" onClose={onClose}>
      {url && kind === 'image' && <img src={url} alt={title} />}
      {url && kind === 'video' && <video src={url} controls autoPlay playsInline aria-label={title} />}
      {url && (
        <a href={url} download={name} target="_blank" rel="noreferrer">
          {t('viewer.save')}
        </a>
      )}
    </Dialog>
  );
}

/** A voice message, loaded when it is played. */
function Voice({ sound }: { sound: Schemas['FileElem'] }): ReactNode {
  const s = useSession();
  const t = useText();
  const [url, set] = useState('');
  useHold(url !== ''); // it may play
  const length = sound.duration ? duration(sound.duration) : '';
  const play = (): void => {
    s.fileURL(sound.fileID).then(set, (err: unknown) => s.fail(err, 'failed.loadVoice'));
  };
  if (url) return <audio src={url} controls autoPlay aria-label={t('message.voice')} />;
  return (
    <button type="button" className="voice" onClick={play} aria-label={t('voice.play', { length })}>
      <Icon name="sound" /> {length || t('message.voice')}
    </button>
  );
}

function FileLink({ file, name }: { file: Schemas['FileElem']; name: string }): ReactNode {
  const s = useSession();
  const open = (): void => {
    s.fileURL(file.fileID).then(
      (url) => window.open(url, '_blank', 'noopener'),
      (err: unknown) => s.fail(err, 'failed.loadFile'),
    );
  };
  return (
    <button type="button" className="words link" onClick={open}>
      {name}
    </button>
  );
}

function Merged({ merged }: { merged: Schemas['MergedElem'] }): ReactNode {
  const translator = useTranslator();
  const [open, setOpen] = useState(false);
  useHold(open);
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
                <time>{translator.when(q.time)}</time>
                <p dir="auto">{q.text}</p>
              </li>
            ))}
          </ol>
        </Dialog>
      )}
    </>
  );
}
