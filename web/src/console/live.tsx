import { useState, type ReactNode } from 'react';
import { Button } from '@beckon/react';
import { Act, Problem, Search, Table } from './parts.js';
import { span, useAPI, usePages, when } from './use.js';

export function Connections(): ReactNode {
  const api = useAPI();
  const [find, setFind] = useState('');
  const p = usePages(
    async (after) => {
      const res = await api.call('listConnections', { userID: find, after, limit: 100 });
      return { list: res.connections, next: res.next, total: res.total };
    },
    [api, find],
    5000,
  );
  return (
    <>
      <Problem text={p.error} />
      <div className="head">
        <h1>Connections</h1>
        <span className="muted">{p.total?.toLocaleString()} in total</span>
        <Search label="User" onText={setFind} />
      </div>
      <Table
        caption="Connected devices"
        rows={p.list}
        id={(c) => `${c.userID} ${c.deviceID}`}
        empty="No device is connected."
        more={p.more}
        columns={[
          { name: 'User', of: (c) => c.userID },
          { name: 'Device', of: (c) => c.deviceID },
          { name: 'Platform', of: (c) => c.platform ?? '–' },
          { name: 'Since', of: (c) => when(c.connectedAt) },
          { name: 'For', of: (c) => span(Date.now() - c.connectedAt), number: true },
          {
            name: '',
            of: (c) => (
              <Act
                label="Disconnect"
                sure={`Disconnect ${c.deviceID}`}
                run={() => api.call('kickDevice', { deviceID: c.deviceID }, c.userID)}
                onDone={p.reload}
              />
            ),
          },
        ]}
      />
    </>
  );
}

export function Users({ onUser }: { onUser: (userID: string) => void }): ReactNode {
  const api = useAPI();
  const [find, setFind] = useState('');
  const p = usePages(
    async (after) => {
      const res = await api.call('listUsers', { userID: find, after, limit: 100 });
      return { list: res.users, next: res.next };
    },
    [api, find],
  );
  return (
    <>
      <Problem text={p.error} />
      <div className="head">
        <h1>Users</h1>
        <Search label="ID begins with" onText={setFind} />
      </div>
      <Table
        caption="Users"
        rows={p.list}
        id={(u) => u.userID}
        empty="No users found."
        more={p.more}
        columns={[
          { name: 'User', of: (u) => u.userID },
          { name: 'Name', of: (u) => u.nick ?? '–' },
          { name: 'Devices', of: (u) => u.devices, number: true },
          { name: 'While offline', of: (u) => (u.pushes ? 'push' : 'unreachable') },
          {
            name: '',
            of: (u) => (
              <>
                {u.pushes && <Button onClick={() => onUser(u.userID)}>Pushes</Button>}
                <Act
                  label="Revoke tokens"
                  sure={`Revoke all tokens of ${u.userID}`}
                  run={() => api.call('revokeTokens', { userID: u.userID })}
                  onDone={p.reload}
                />
              </>
            ),
          },
        ]}
      />
    </>
  );
}

export function Groups(): ReactNode {
  const api = useAPI();
  const [find, setFind] = useState('');
  const p = usePages(
    async (after) => {
      const res = await api.call('listGroups', { find, after, limit: 100 });
      return { list: res.groups, next: res.next };
    },
    [api, find],
  );
  return (
    <>
      <Problem text={p.error} />
      <div className="head">
        <h1>Groups</h1>
        <Search label="Name or ID" onText={setFind} />
      </div>
      <Table
        caption="Groups"
        rows={p.list}
        id={(g) => g.groupID}
        empty="No groups found."
        more={p.more}
        columns={[
          { name: 'Group', of: (g) => g.groupID },
          { name: 'Name', of: (g) => g.name ?? '–' },
          { name: 'Type', of: (g) => g.type },
          { name: 'Owner', of: (g) => g.owner || '–' },
          { name: 'Members', of: (g) => g.members.toLocaleString(), number: true },
          { name: 'Created', of: (g) => when(g.createdAt) },
          {
            name: '',
            of: (g) => (
              <Act
                label="Dismiss"
                sure={`Dismiss ${g.name || g.groupID}`}
                run={() => api.call('dismissGroup', { groupID: g.groupID })}
                onDone={p.reload}
              />
            ),
          },
        ]}
      />
    </>
  );
}
