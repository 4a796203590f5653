import { useMemo, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { colors, Plot, stacked, type Line } from './plot.js';
import { Problem } from './parts.js';
import { span, useAPI, useRead } from './use.js';

const ranges: [string, number][] = [
  ['1 hour', 1],
  ['1 day', 24],
  ['7 days', 168],
  ['30 days', 720],
  ['90 days', 2160],
];

/** Reasons of failed invitations: key, label, color. */
const failures: [string, string, string][] = [
  ['declined', 'declined', colors.orange],
  ['busy', 'busy', colors.gold],
  ['timedOut', 'no answer', colors.violet],
  ['cancelled', 'cancelled', colors.pink],
  ['answered', 'answered by others', colors.green],
  ['left', 'left the group', colors.brown],
];

function share(p: Schemas['StatPoint']): number | null {
  const decided = p.accepted + Object.values(p.failures ?? {}).reduce((a, b) => a + b, 0);
  return decided ? (100 * p.accepted) / decided : null;
}

export function Overview(): ReactNode {
  const api = useAPI();
  const [hours, setHours] = useState(24);
  const stats = useRead(
    () => {
      const until = Date.now();
      return api.call('getStats', { from: until - hours * 3_600_000, until });
    },
    [api, hours],
    hours > 24 ? 30_000 : 5000,
  );
  const now = useRead(
    async () => {
      const [connections, open, calls, webhook, push] = await Promise.all([
        api.call('listConnections', { limit: 1 }),
        api.call('listOpenInvitations', { limit: 1 }),
        api.call('listCalls', { open: true, limit: 1000 }),
        api.call('listHookEvents', { state: 'dead', limit: 1 }),
        api.call('listHookEvents', { queue: 'push', state: 'dead', limit: 1 }),
      ]);
      return {
        connections: connections.total,
        nodes: connections.nodes,
        open: open.total,
        calls: calls.calls.filter((c) => c.began).length,
        webhook,
        push,
      };
    },
    [api],
    5000,
  );
  const points = useMemo(() => stats.data?.points ?? [], [stats.data]);
  const plots = useMemo(() => {
    const line = (label: string, color: string, of: (p: Schemas['StatPoint']) => number | null): Line => ({
      label,
      color,
      values: points.map(of),
    });
    return {
      at: points.map((p) => p.at),
      rate: [line('answered', colors.teal, share)],
      invited: [
        { ...line('users invited', colors.teal, (p) => p.invited), fill: true },
        line('accepted', colors.orange, (p) => p.accepted),
      ],
      time: [
        line('median', colors.teal, (p) => (p.answerMs ? p.answerMs.p50 / 1000 : null)),
        line('90th percentile', colors.orange, (p) => (p.answerMs ? p.answerMs.p90 / 1000 : null)),
      ],
      ring: [
        line('median', colors.teal, (p) => (p.ringMs ? p.ringMs.p50 / 1000 : null)),
        line('90th percentile', colors.orange, (p) => (p.ringMs ? p.ringMs.p90 / 1000 : null)),
      ],
      failed: stacked(failures.map(([key, label, color]) => line(label, color, (p) => p.failures?.[key] ?? 0))),
      calls: [{ ...line('calls', colors.violet, (p) => p.calls), fill: true }],
      connections: [{ ...line('connections', colors.green, (p) => p.connections), fill: true }],
    };
  }, [points]);
  const single = useMemo(
    () =>
      (l: Line, i: number): string => {
        const key = failures.find(([, label]) => label === l.label)?.[0] ?? '';
        return (points[i]?.failures?.[key] ?? 0).toLocaleString();
      },
    [points],
  );
  const sum = (of: (p: Schemas['StatPoint']) => number): number => points.reduce((n, p) => n + of(p), 0);
  const accepted = sum((p) => p.accepted);
  const failed = sum((p) => Object.values(p.failures ?? {}).reduce((a, b) => a + b, 0));
  const tiles: [string, string, boolean?][] = [
    ['connections', now.data?.connections.toLocaleString() ?? '…'],
    ['calls in progress', now.data?.calls.toLocaleString() ?? '…'],
    ['open invitations', now.data?.open.toLocaleString() ?? '…'],
    ['answered', accepted + failed ? `${Math.round((100 * accepted) / (accepted + failed))} %` : '–'],
    ['users invited', sum((p) => p.invited).toLocaleString()],
    ['webhooks waiting', now.data?.webhook.waiting.toLocaleString() ?? '…', (now.data?.webhook.dead ?? 0) > 0],
    ['pushes waiting', now.data?.push.waiting.toLocaleString() ?? '…'],
  ];
  return (
    <>
      <Problem text={stats.error || now.error} />
      <div className="head">
        <h1>Overview</h1>
        <div className="ranges" role="group" aria-label="Time">
          {ranges.map(([label, h]) => (
            <button key={h} type="button" aria-pressed={h === hours} onClick={() => setHours(h)}>
              {label}
            </button>
          ))}
        </div>
      </div>
      <dl className="tiles-row">
        {tiles.map(([name, value, bad]) => (
          <div key={name} className={bad ? 'bad' : ''}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div className="plots">
        <Plot title="Invitations" at={plots.at} lines={plots.invited} unit="" />
        <Plot title="Answer rate" at={plots.at} lines={plots.rate} unit=" %" percent />
        <Plot title="Time to answer" at={plots.at} lines={plots.time} unit=" s" />
        <Plot title="Time to ring" at={plots.at} lines={plots.ring} unit=" s" />
        <Plot title="Unanswered, by reason" at={plots.at} lines={plots.failed} unit="" shown={single} />
        <Plot title="Calls in progress" at={plots.at} lines={plots.calls} unit="" />
        <Plot title="Connections" at={plots.at} lines={plots.connections} unit="" />
      </div>
      <p className="muted">
        One point for each {span((stats.data?.step ?? 300) * 1000)}; updated within five seconds.
        {now.data && now.data.nodes > 1 ? ` This house has ${now.data.nodes} nodes.` : ''}
      </p>
    </>
  );
}
