import { useState, type ReactNode } from 'react';
import { Act, Problem, Table } from './parts.js';
import { useAPI, usePages, useRead, when } from './use.js';

type Queue = 'webhook' | 'push';
type State = 'waiting' | 'delivered' | 'dead';

/** The server counts up to this number. */
const countLimit = 10_000;

function count(n: number | undefined): string {
  return n === undefined ? '–' : n < countLimit ? n.toLocaleString() : `${countLimit.toLocaleString()} or more`;
}

export function Queues(): ReactNode {
  const api = useAPI();
  const [queue, setQueue] = useState<Queue>('webhook');
  const [state, setState] = useState<State>('waiting');
  const head = useRead(() => api.call('listHookEvents', { queue, state: 'waiting', limit: 1 }), [api, queue], 3000);
  const p = usePages(
    async (after) => {
      const res = await api.call('listHookEvents', { queue, state, after, limit: 100 });
      return { list: res.events, next: res.next };
    },
    [api, queue, state],
    3000,
  );
  const replay = async (): Promise<void> => {
    for (let after = ''; ;) {
      const res = await api.call('replayHookEvents', { queue, state: state as 'delivered' | 'dead', after });
      if (!res.next) return;
      after = res.next;
    }
  };
  const tab = <T extends string>(value: T, now: T, set: (v: T) => void, label: string = value): ReactNode => (
    <button key={value} type="button" aria-pressed={value === now} onClick={() => set(value)}>
      {label}
    </button>
  );
  return (
    <>
      <Problem text={p.error || head.error} />
      <div className="head">
        <h1>Queues</h1>
        <div className="ranges" role="group" aria-label="Queue">
          {tab('webhook', queue, setQueue, 'Webhooks')}
          {tab('push', queue, setQueue, 'Pushes')}
        </div>
        <div className="ranges" role="group" aria-label="State">
          {tab('waiting', state, setState)}
          {tab('delivered', state, setState)}
          {tab('dead', state, setState, 'failed')}
        </div>
        {state !== 'waiting' && p.list.length > 0 && (
          <Act label="Resend all" sure="Resend all of these" run={replay} onDone={p.reload} />
        )}
      </div>
      <p className="muted">
        {count(head.data?.waiting)} waiting
        {head.data?.oldestWaiting ? `, the oldest from ${when(head.data.oldestWaiting)}` : ''}; {count(head.data?.dead)}{' '}
        failed.
      </p>
      <Table
        caption={queue === 'webhook' ? 'Webhooks' : 'Pushes'}
        rows={p.list}
        id={(e) => e.id}
        empty={state === 'waiting' ? 'The queue is empty.' : 'No events.'}
        more={p.more}
        columns={[
          { name: 'Time', of: (e) => when(e.at) },
          { name: 'Kind', of: (e) => e.kind },
          { name: 'Attempts', of: (e) => e.tries, number: true },
          { name: 'Next attempt', of: (e) => when(e.due) },
          { name: 'Last error', of: (e) => e.error ?? '–' },
          {
            name: 'Event',
            of: (e) => (
              <details>
                <summary>{e.id}</summary>
                <pre>{JSON.stringify(e.event, null, 2)}</pre>
              </details>
            ),
          },
          {
            name: '',
            of: (e) =>
              state === 'waiting' ? null : (
                <Act
                  label="Resend"
                  sure="Resend this event"
                  run={() => api.call('replayHookEvents', { queue, state: state as 'dead', from: e.at, until: e.at })}
                  onDone={p.reload}
                />
              ),
          },
        ]}
      />
    </>
  );
}
