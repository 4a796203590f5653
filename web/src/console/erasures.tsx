import { useState, type ReactNode } from 'react';
import { Act, Problem, Table } from './parts.js';
import { useAPI, usePages, when } from './use.js';

/** The stages of an erasure, for operators. */
const stages: Record<string, string> = {
  sessions: 'disconnecting devices',
  groups: 'leaving groups',
  files: 'removing files',
  timeline: 'clearing invitations',
  conversations: 'clearing conversations',
  rows: 'removing settings',
  copies: 'searching for copies',
  done: 'done',
};

export function Erasures(): ReactNode {
  const api = useAPI();
  const [user, setUser] = useState('');
  const p = usePages(
    async (after) => {
      const res = await api.call('listErasures', { after, limit: 100 });
      return { list: res.erasures, next: res.next };
    },
    [api],
    3000,
  );
  return (
    <>
      <Problem text={p.error} />
      <div className="head">
        <h1>Erasures</h1>
        <label className="search">
          <span>User ID</span>
          <input value={user} onChange={(e) => setUser(e.target.value.trim())} />
        </label>
        {user && (
          <Act
            key={user}
            label="Erase"
            sure={`Erase all data of ${user}`}
            run={() => api.call('eraseUser', { userID: user })}
            onDone={p.reload}
          />
        )}
      </div>
      <p className="muted">Running erasures of users, and those that ended in the last 30 days.</p>
      <Table
        caption="Erasures"
        rows={p.list}
        id={(e) => e.userID}
        empty="No erasure is running, and none ended in the last 30 days."
        more={p.more}
        columns={[
          { name: 'User', of: (e) => e.userID },
          { name: 'Stage', of: (e) => <span title={e.position}>{stages[e.stage] ?? e.stage}</span> },
          { name: 'Started', of: (e) => when(e.startedAt) },
          { name: 'Ended', of: (e) => (e.endedAt ? when(e.endedAt) : '–') },
          { name: 'Messages', of: (e) => e.records.toLocaleString(), number: true },
          { name: 'Groups', of: (e) => e.groups.toLocaleString(), number: true },
          { name: 'Files', of: (e) => e.files.toLocaleString(), number: true },
          { name: 'Last error', of: (e) => e.error ?? '–' },
        ]}
      />
    </>
  );
}
