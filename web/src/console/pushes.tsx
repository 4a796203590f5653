import { useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Button } from '@beckon/react';
import { errorText } from './api.js';
import { Problem, Table } from './parts.js';
import { useAPI, useRead, when } from './use.js';

/** Returns the result of a test push in words. */
function result(r: Schemas['PushTestResult']): string {
  switch (r.state) {
    case 'waiting':
      return 'sending…';
    case 'accepted':
      return `accepted after ${r.acceptedMs ?? 0} ms, not acknowledged yet`;
    case 'acknowledged':
      return `${r.acceptedMs ? `accepted after ${r.acceptedMs} ms, ` : ''}acknowledged after ${r.acknowledgedMs ?? 0} ms`;
    default:
      return `${r.acceptedMs ? `accepted after ${r.acceptedMs} ms; ` : ''}${r.error ?? 'failed'}`;
  }
}

const time = (at: number | undefined): string => (at ? when(at) : 'never');

/** The push tokens of a user: whether pushes arrive, and a test. */
export function Pushes({ userID, onLeave }: { userID: string; onLeave: () => void }): ReactNode {
  const api = useAPI();
  const [testID, setTestID] = useState('');
  const [refused, setRefused] = useState('');
  const health = useRead(() => api.call('getPushHealth', {}, userID), [api, userID], 5000);
  const test = useRead(
    async () => (testID ? api.call('getPushTest', { testID }, userID) : undefined),
    [api, userID, testID],
    testID ? 1000 : 0,
  );
  const send = (request: { deviceID?: string }): void => {
    setRefused('');
    api.call('testPush', request, userID).then(
      (res) => setTestID(res.testID),
      (err: unknown) => setRefused(errorText(err)),
    );
  };
  const devices = health.data?.devices ?? [];
  const resultOf = (d: Schemas['PushHealth']): string => {
    const r = test.data?.devices.find((t) => t.deviceID === d.deviceID && t.provider === d.provider);
    return r ? result(r) : '–';
  };
  return (
    <>
      <Problem text={refused || health.error || test.error} />
      <div className="head">
        <h1>Pushes of {userID}</h1>
        <Button onClick={onLeave}>All users</Button>
        {devices.length > 1 && <Button onClick={() => send({})}>Test all devices</Button>}
      </div>
      <Table
        caption="Devices with a push token"
        rows={devices}
        id={(d) => `${d.provider} ${d.deviceID ?? ''} ${d.registeredAt}`}
        empty="No device of this user has a push token."
        columns={[
          { name: 'Device', of: (d) => d.deviceID || 'any' },
          { name: 'Provider', of: (d) => d.provider },
          { name: 'App', of: (d) => d.app || '–' },
          { name: 'Language', of: (d) => d.language || '–' },
          { name: 'Registered', of: (d) => when(d.registeredAt) },
          { name: 'Last accepted', of: (d) => time(d.lastAcceptedAt) },
          { name: 'Last acknowledged', of: (d) => time(d.lastAcknowledgedAt) },
          { name: 'Failures', of: (d) => (d.failures ?? 0).toLocaleString(), number: true },
          { name: 'Last error', of: (d) => (d.lastError ? `${time(d.lastFailedAt)}: ${d.lastError}` : '–') },
          { name: 'Test', of: resultOf },
          {
            name: '',
            of: (d) =>
              d.deviceID &&
              d.provider !== 'apnsVoIP' && (
                <Button onClick={() => send({ deviceID: d.deviceID ?? '' })}>Send a test</Button>
              ),
          },
        ]}
      />
    </>
  );
}
