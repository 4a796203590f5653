// Judges a scene: one true record, no side left in a call that is over, no exception in a page. Times are milliseconds.

/** Differences between records and pages that are no fault: half a second, and the time that a page takes to show it. */
const slack = 1_000;

/** Time within which both sides notice an outage (SPEC: 5 s), in which their timers run on. */
const notice = 5_000;

/** Time within which a page that is connected leaves a call that is over. */
const leaving = 5_000;

/** Time after which the server ends a call of a user alone (15 s), and notices that the others are gone. */
const alone = 25_000;

/** Returns the faults of a scene, as short sentences. */
export function judge(seen) {
  const { scene, records, faults, pages } = seen;
  const expected = scene.records ?? 1;
  const problems = faults.map((f) => `a page threw: ${f.split('\n')[0]}`);
  if (records.length !== expected) problems.push(`${records.length} records instead of ${expected}`);
  for (const r of records) problems.push(...judgeRecord(seen, r));
  const paused = pages.find((p) => p.user === 'alice')?.events.some((e) => /paused: slow/.test(e.value));
  if (scene.paused && !paused) problems.push('no picture was paused');
  return [...problems, ...ghosts(seen)];
}

const at = (page, test) => page.events.find(test)?.at;

/** Returns the milliseconds that the timer of a page showed last. It shows whole seconds. */
function timerOf(page) {
  const parts = (page.timer ?? '0').split(':').map(Number);
  return 1000 * parts.reduce((sum, n) => 60 * sum + n, 0);
}

/** Returns how often a page showed an outage, and for how long altogether. */
function outages(seen, page) {
  const bad = new Set();
  const result = { count: 0, time: 0, left: false };
  let since = 0;
  const close = (time) => {
    if (bad.size) result.time += time - since;
  };
  for (const { at: time, what, value } of page.events) {
    if (time > seen.times.end) break;
    const wrong = {
      phase: value === 'reconnecting',
      banner: value === 'shown',
      own: value === 'connection lost',
      peer: value === 'connection lost',
    }[what.split(' ')[0]];
    if (wrong === undefined) continue;
    close(time);
    since = time;
    if (wrong && !bad.size) result.count++;
    if (wrong) bad.add(what);
    else bad.delete(what);
    if (what === 'phase' && wrong) result.left = true;
  }
  close(seen.times.end);
  return result;
}

/**
 * Returns the least and the most that the record of a call may have as its duration. The timers of the pages run until
 * they notice an outage. An outage in which LiveKit reports no leave counts as talk in the record (docs/reliability.md).
 */
function durations(seen, delay) {
  const { pages, scene } = seen;
  const timers = pages.map(timerOf);
  const shown = pages.map((p) => outages(seen, p));
  const count = Math.max(...shown.map((o) => o.count), scene.act ? 1 : 0);
  const silent = shown.some((o) => o.left) ? 0 : Math.max(...shown.map((o) => o.time));
  return [Math.min(...timers) - slack - delay - count * notice, Math.max(...timers) + 1000 + slack + delay + silent];
}

function judgeRecord(seen, r) {
  const { scene, times, pages, participants, hungUpBy } = seen;
  const problems = [];
  const delay = 2 * (scene.conditions?.delay ?? 0);
  const check = (ok, text) => ok || problems.push(text);
  check(r.ended, 'the record is open');
  check(!r.open, 'the room is open');
  check(r.lines === 1, `${r.lines} entries in the conversation`);
  check(r.detail.callID === r.callID && r.detail.duration === r.duration, 'getCall differs from listCalls');
  check(r.count === participants.length, `${r.count} participants`);
  if (!r.ended) return problems;

  const connected = pages.map((p) => at(p, (e) => e.what === 'phase' && e.value === 'connected'));
  const [first, last] = [Math.min(...connected.filter(Boolean)), Math.max(...connected.filter(Boolean))];
  const early = r.began < first - slack - delay;
  check(!early && r.began <= last + slack + delay, `began ${Math.round(r.began - first)} ms after the first page`);

  if (scene.over) {
    const left = Math.max(...pages.map((p) => p.events.findLast((e) => e.what === 'phase')?.at ?? 0));
    check(
      r.ended >= times.fault - slack && r.ended <= left + slack,
      `ended ${r.ended - times.fault} ms after the fault`,
    );
    check(r.reason === 'left' || r.reason === 'mediaLost', `reason ${r.reason}`);
  } else {
    const end = pages.find((p) => p.user === seen.ender)?.events.findLast((e) => e.what === 'phase')?.at;
    check(Math.abs(r.ended - end) <= slack + delay, `ended ${Math.round(r.ended - end)} ms after the page`);
    check(r.reason === 'hangup' && hungUpBy.includes(r.endedBy), `reason ${r.reason} by ${r.endedBy}`);
  }
  const [least, most] = durations(seen, delay);
  check(r.duration <= r.ended - r.began + 1, `talked ${r.duration} ms of ${r.ended - r.began}`);
  if (r.duration < least || r.duration > most)
    problems.push(`talked ${r.duration} ms, by the pages ${Math.round(least)} to ${Math.round(most)}`);
  return problems;
}

/** Returns the sides that were in a call that was over, or entered it again. */
function ghosts({ scene, times, pages, records }) {
  const problems = [];
  for (const p of pages) {
    const phases = p.events.filter((e) => e.what === 'phase');
    const left = phases.at(-1)?.value === 'idle' ? phases.at(-1).at : undefined;
    if (p.phase !== 'idle' || left === undefined) problems.push(`${p.user} is still in the call: ${p.phase}`);
    if (p.devicesOn !== 0) problems.push(`${p.devicesOn} devices of ${p.user} are on`);
    const entered = phases.filter((e, i) => e.value !== 'idle' && (phases[i - 1]?.value ?? 'idle') === 'idle').length;
    if (entered > 1) problems.push(`${p.user} entered a call ${entered} times`);
    const over = scene.over
      ? Math.max(times.restored, (records[0]?.ended ?? times.fault) + alone)
      : Math.max(times.end, times.restored ?? 0);
    if (left > over + leaving) problems.push(`${p.user} left ${Math.round((left - over) / 1000)} s after the end`);
  }
  return problems;
}
