import { useState, type ReactNode } from 'react';
import { Act, Problem, Search, Table } from './parts.js';
import { span, useAPI, usePages, when } from './use.js';

export function Calls({ onInvitation }: { onInvitation: (id: string) => void }): ReactNode {
  const api = useAPI();
  const [user, setUser] = useState('');
  const [group, setGroup] = useState('');
  const [open, setOpen] = useState(false);
  const [day, setDay] = useState('');
  const p = usePages(
    async (before) => {
      const from = day ? new Date(`${day}T00:00`).getTime() : 0;
      const res = await api.call('listCalls', {
        userID: user,
        groupID: group,
        open,
        before,
        limit: 100,
        ...(from ? { from, until: from + 86_400_000 } : {}),
      });
      return { list: res.calls, next: res.next };
    },
    [api, user, group, open, day],
    5000,
  );
  return (
    <>
      <Problem text={p.error} />
      <div className="head">
        <h1>Calls</h1>
        <Search label="User" onText={setUser} />
        <Search label="Group" onText={setGroup} />
        <label className="search">
          <span>Day</span>
          <input type="date" value={day} onChange={(e) => setDay(e.target.value)} />
        </label>
        <label className="check">
          <input type="checkbox" checked={open} onChange={(e) => setOpen(e.target.checked)} /> in progress
        </label>
      </div>
      <Table
        caption="Call records"
        rows={p.list}
        id={(c) => c.callID}
        empty="No calls found."
        more={p.more}
        columns={[
          { name: 'Started', of: (c) => when(c.began ?? c.opened) },
          { name: 'From', of: (c) => c.inviter ?? '–' },
          { name: 'With', of: (c) => c.invitee ?? c.groupID ?? '–' },
          { name: 'Participants', of: (c) => c.count, number: true },
          {
            name: 'Duration',
            of: (c) => (c.ended ? span(c.duration) : c.began ? 'in progress' : 'waiting'),
            number: true,
          },
          { name: 'Ended', of: (c) => (c.reason ? `${c.reason}${c.endedBy ? ` by ${c.endedBy}` : ''}` : '–') },
          {
            name: '',
            of: (c) => (
              <>
                {c.inviteID && (
                  <button type="button" className="link" onClick={() => onInvitation(c.inviteID ?? '')}>
                    Invitation
                  </button>
                )}
                {!c.ended && (
                  <Act
                    label="End"
                    sure="End this call"
                    run={() => api.call('dismissRoom', { roomID: c.roomID })}
                    onDone={p.reload}
                  />
                )}
              </>
            ),
          },
        ]}
      />
    </>
  );
}
