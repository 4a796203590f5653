// One line of a conversation: a message, a call, a change of the group, or a message that is not sent.
import { useCallback, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import type { Timeline, Unsent } from 'beckon/inbox';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { useSession, useText, useTranslator } from '../use.js';
import { Bubble } from './bubble.js';
import { HoldContext } from './held.js';
import { noteText, type Line } from './lines.js';

/** The actions and the timeline of the lines of a conversation. */
export interface Conversing {
  timeline: Timeline;
  onReply: (m: Schemas['Message']) => void;
  onEdit: (m: Schemas['Message']) => void;
  onCall?: (media: 'video' | 'audio') => void;
  /** Shows the entry with a sequence. */
  jump: (seq: number) => void;
  /** Keeps a line in the document while it is out of view, or no longer. */
  hold: (key: string, on: boolean) => void;
}

/** A line of a conversation, with the day above the first one of a day. */
export function LineView({
  line,
  day,
  follows,
  marked,
  conversing,
}: {
  line: Line;
  day: boolean;
  /** The line before is of the same user. */
  follows: boolean;
  /** A jump shows this line. */
  marked: boolean;
  conversing: Conversing;
}): ReactNode {
  const translator = useTranslator();
  const { hold } = conversing;
  const { key } = line;
  const holdThis = useCallback((on: boolean) => hold(key, on), [hold, key]);
  return (
    <div className={`line ${marked ? 'marked' : ''} ${follows ? '' : 'apart'}`}>
      {day && <p className="day">{translator.day(line.time)}</p>}
      {line.kind === 'message' ? (
        <HoldContext.Provider value={holdThis}>
          <Bubble line={line} follows={follows} conversing={conversing} />
        </HoldContext.Provider>
      ) : (
        <NoteView line={line} {...(conversing.onCall ? { onCall: conversing.onCall } : {})} />
      )}
    </div>
  );
}

/** A call or a change of the group. */
function NoteView({ line, onCall }: { line: Line; onCall?: (media: 'video' | 'audio') => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const text = noteText(translator, line.note!, (u, object) =>
    u === s.me ? t(object ? 'you.object' : 'you') : s.name(u),
  );
  if (line.kind === 'note') return <p className="note">{text}</p>;
  const join = (): void => {
    s.calls.join({ ...line.late!, media: line.media ?? 'video' }).catch((err: unknown) => s.fail(err, 'failed.join'));
  };
  return (
    <p className={`note call ${line.missed ? 'missed' : ''}`}>
      <Icon name={line.media === 'audio' ? 'phone' : 'video'} />
      <span>
        {text} <time>{translator.when(line.time)}</time>
      </span>
      {line.late && (
        <Button tone="main" onClick={join}>
          {t('join')}
        </Button>
      )}
      {line.missed && !line.late && onCall && (
        <Button tone="quiet" onClick={() => onCall(line.media ?? 'video')}>
          {t('call.back')}
        </Button>
      )}
    </p>
  );
}

/** A message that the server has not acknowledged. */
export function UnsentView({ m }: { m: Unsent }): ReactNode {
  const s = useSession();
  const t = useText();
  const { text, image, file, video, sound } = m.content;
  const words = text ?? image?.name ?? file?.name ?? video?.name ?? (sound ? t('message.voice') : t('message.other'));
  return (
    <div className="line apart">
      <div className="bubble mine unsent">
        <span className="words" dir="auto">
          {words}
        </span>
        {m.state === 'sending' ? (
          <time>{t('message.sending')}</time>
        ) : (
          <span className="failed" role="alert">
            {t('message.notSent', { reason: s.reason(m.error) })}
            <Button tone="quiet" onClick={() => void s.inbox.retry(m.messageID).catch(() => undefined)}>
              {t('message.sendAgain')}
            </Button>
            <Button tone="quiet" onClick={() => s.inbox.discard(m.messageID)}>
              {t('message.discard')}
            </Button>
          </span>
        )}
      </div>
    </div>
  );
}
