import { type FormEvent, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Button } from '@beckon/react';
import { Act, Problem, Table } from './parts.js';
import { span, useAPI, usePages, useRead, when } from './use.js';

export function Invitations({ id, onID }: { id: string; onID: (id: string) => void }): ReactNode {
  const api = useAPI();
  const p = usePages(
    async (after) => {
      const res = await api.call('listOpenInvitations', { after, limit: 100 });
      return { list: res.invitations, next: res.next, total: res.total };
    },
    [api],
    3000,
  );
  const find = (e: FormEvent<HTMLFormElement>): void => {
    e.preventDefault();
    onID(String(new FormData(e.currentTarget).get('id') ?? '').trim());
  };
  return (
    <>
      <Problem text={p.error} />
      <div className="head">
        <h1>Invitations</h1>
        <span className="muted">{p.total?.toLocaleString()} open</span>
        <form className="search" onSubmit={find}>
          <label htmlFor="invite">Invitation ID</label>
          <input id="invite" name="id" placeholder="inviteID" defaultValue={id} />
          <Button type="submit">Show</Button>
        </form>
      </div>
      {id && <Story key={id} id={id} onClose={() => onID('')} />}
      <Table
        caption="Open invitations"
        rows={p.list}
        id={(v) => v.inviteID}
        empty="No open invitations."
        more={p.more}
        onPick={(v) => onID(v.inviteID)}
        columns={[
          { name: 'From', of: (v) => v.inviter },
          { name: 'Group', of: (v) => v.groupID ?? '–' },
          { name: 'Open', of: (v) => v.counts.open.toLocaleString(), number: true },
          { name: 'Accepted', of: (v) => v.counts.accepted.toLocaleString(), number: true },
          { name: 'Since', of: (v) => when(v.createdAt) },
          {
            name: 'Time left',
            of: (v) => (v.deadline ? span(Math.max(0, v.deadline - Date.now())) : 'no timeout'),
            number: true,
          },
          {
            name: 'ID',
            of: (v) => (
              <button type="button" className="link" onClick={() => onID(v.inviteID)}>
                {v.inviteID}
              </button>
            ),
          },
        ]}
      />
    </>
  );
}

const words: Record<string, string> = {
  invited: 'invited',
  ringing: 'is ringing',
  accepted: 'accepted',
  rejected: 'rejected',
  cancelled: 'was cancelled',
  timedOut: 'timed out',
  pushed: 'received a push',
  pushWaits: 'has a queued push',
  pushFailed: 'has a failed push',
  deadline: 'deadline',
};

/** The events of one invitation in order of time. */
function Story({ id, onClose }: { id: string; onClose: () => void }): ReactNode {
  const api = useAPI();
  const t = useRead(() => api.call('traceInvitation', { inviteID: id }), [api, id], 2000);
  const v = t.data?.invitation;
  const begin = v?.createdAt ?? 0;
  return (
    <section className="story" aria-label={`Invitation ${id}`}>
      <div className="head">
        <h2>
          {v
            ? `${v.inviter} invites ${v.groupID ? `in ${v.groupID}` : (v.invitees?.map((p) => p.userID).join(', ') ?? '')}`
            : id}
        </h2>
        {v && !v.over && (
          <Act
            label="Cancel invitation"
            sure={`Cancel for ${v.counts.open}`}
            run={() => api.call('cancel', { inviteID: id }, v.inviter)}
            onDone={t.reload}
          />
        )}
        <Button tone="quiet" onClick={onClose}>
          Close
        </Button>
      </div>
      <Problem text={t.error} />
      {v && (
        <p className="muted">
          {counted(v.counts)}
          {v.roomID ? ` · room ${v.roomID}` : ''}
          {v.data ? ` · data ${v.data.slice(0, 120)}` : ''}
        </p>
      )}
      <ol className="timeline">
        {t.data?.events.map((e, i) => (
          <li key={i} data-event={e.event}>
            <time>{when(e.at)}</time>
            <span className="muted">+{span(Math.max(0, e.at - begin))}</span>
            <span>
              <strong>{e.userID ?? (e.event === 'invited' ? e.detail : '')}</strong> {words[e.event] ?? e.event}
              {e.device ? ` on ${e.device}` : ''}
              {e.detail && e.event !== 'invited' ? `: ${e.detail}` : ''}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function counted(c: Schemas['Counts']): string {
  const parts: [string, number][] = [
    ['open', c.open],
    ['accepted', c.accepted],
    ['rejected', c.rejected],
    ['cancelled', c.cancelled],
    ['timed out', c.timedOut],
  ];
  return parts
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${n.toLocaleString()} ${name}`)
    .join(' · ');
}
