// An incoming call: the caller, a view of the own camera, and the answers.
import { useState, type ReactNode } from 'react';
import type { CallState } from 'beckon/call';
import { UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useName, useNow, useSession, useText } from '../use.js';
import { usePreview } from './preview.js';
import { useTone } from './sounds.js';

/** The dialog of an incoming call. */
export function Incoming({ call }: { call: CallState }): ReactNode {
  const s = useSession();
  const t = useText();
  const name = useName(call.inviter);
  const now = useNow(true);
  const { ref, error, stop, ask } = usePreview(call.media === 'video' && call.leader);
  const left = call.deadline ? Math.max(0, Math.ceil((call.deadline - now) / 1000)) : 0;
  const others = Object.keys(call.people).length - 1;
  const group = s.group(call.groupID)?.name;
  const [quiet, setQuiet] = useState(false); // Escape silences; it does not decline
  useTone(call.leader && !quiet ? 'incoming' : undefined);
  const answer = (media?: 'audio'): void => {
    stop();
    s.calls.answer(media ? { media } : {}).catch((err: unknown) => {
      if (!(err instanceof Error && 'won' in err && err.won)) s.fail(err, 'failed.answer');
    });
  };
  return (
    <Dialog
      title={t(call.media === 'audio' ? 'call.voice' : 'call.video')}
      className="incoming"
      onClose={() => setQuiet(true)}
    >
      <div className="caller">
        <span className="pulse">
          <UserAvatar userID={call.inviter} size={88} />
        </span>
        <h3>{name}</h3>
        <p className="muted">
          {!call.groupID && others < 1
            ? t('incoming.you')
            : group
              ? t('incoming.group', { others, group })
              : t('incoming.others', { others })}
          {left > 0 && <> · {t('seconds', { count: left })}</>}
        </p>
      </div>
      {call.media === 'video' && (
        <div className="preview">
          <video ref={ref} autoPlay playsInline muted aria-label={t('preview.own-camera')} />
          {error && <p>{error}</p>}
          {ask && <Button onClick={ask}>{t('preview.show')}</Button>}
        </div>
      )}
      <div className="actions">
        <Button tone="stop" onClick={() => void s.calls.decline()}>
          {t('decline')}
        </Button>
        {call.media === 'video' && <Button onClick={() => answer('audio')}>{t('incoming.voiceOnly')}</Button>}
        <Button tone="go" onClick={() => answer()}>
          {t('accept')}
        </Button>
      </div>
    </Dialog>
  );
}
