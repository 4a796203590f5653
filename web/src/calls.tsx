// The answered calls of this user, and those in progress.
import { useCallback, useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import {
  Button,
  duration,
  Icon,
  IconButton,
  Name,
  useEvent,
  UserAvatar,
  useSession,
  useTranslator,
} from '@beckon/react';
import { usePageText } from './texts.js';

type Call = Schemas['Call'];

/** Calls of one page. */
const pageSize = 50;

export function CallHistory(): ReactNode {
  const s = useSession();
  const t = usePageText();
  const [calls, set] = useState<Call[]>();
  const [next, setNext] = useState('');
  const [loading, setLoading] = useState(false);
  const [problem, setProblem] = useState('');
  const load = useCallback(
    (before: string) => {
      setLoading(true);
      s.client
        .listCalls({ limit: pageSize, ...(before ? { before } : {}) })
        .then(
          (r) => {
            setProblem('');
            set((all) => [...(before ? (all ?? []) : []), ...r.calls]);
            setNext(r.next ?? '');
          },
          (err: unknown) => setProblem(s.reason(err)),
        )
        .finally(() => setLoading(false));
    },
    [s],
  );
  useEffect(() => load(''), [load]);
  useEvent('onCallRecord', () => load(''));
  const failed = problem && (
    <div className="problem">
      <p>{t('calls.failed', { reason: problem })}</p>
      <Button onClick={() => load('')}>{s.text('tryAgain')}</Button>
    </div>
  );
  if (!calls) return failed || <p className="muted pad">{t('calls.loading')}</p>;
  return (
    <section className="call-history" aria-label={t('nav.calls')}>
      <header className="top">
        <IconButton
          icon="back"
          label={s.text('back')}
          className="round quiet narrow"
          onClick={() => s.navigate({ kind: 'chat' })}
        />
        <h1>{t('nav.calls')}</h1>
      </header>
      {calls.length === 0 && <p className="muted pad">{t('calls.none')}</p>}
      <ul className="list">
        {calls.map((c) => (
          <CallItem key={c.callID} c={c} />
        ))}
      </ul>
      {failed}
      {next && (
        <Button disabled={loading} onClick={() => load(next)}>
          {t('calls.more')}
        </Button>
      )}
    </section>
  );
}

function CallItem({ c }: { c: Call }): ReactNode {
  const s = useSession();
  const t = usePageText();
  const translator = useTranslator();
  const own = c.inviter === s.me;
  const peer = own ? (c.invitee ?? '') : (c.inviter ?? '');
  const media = c.media === 'audio' ? 'audio' : 'video';
  const call = (): void => {
    s.calls.call({ userID: peer }, { media }).catch((err: unknown) => s.fail(err, 'failed.call'));
  };
  return (
    <li className="item">
      <UserAvatar userID={peer || c.groupID || ''} />
      <span className="text">
        <strong>{c.groupID ? s.group(c.groupID)?.name || c.groupID : <Name id={peer} />}</strong>
        <span className="muted">
          <Icon name={media === 'audio' ? 'phone' : 'video'} /> {t(own ? 'calls.outgoing' : 'calls.incoming')}
          {c.duration > 0 && ` · ${duration(c.duration)}`}
        </span>
      </span>
      <time className="muted">{translator.when(c.opened)}</time>
      {!c.groupID && peer && (
        <IconButton icon={media === 'audio' ? 'phone' : 'video'} label={s.text('call.back')} onClick={call} />
      )}
    </li>
  );
}
