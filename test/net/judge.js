// Judges a scene: one true record, no side left in a call that is over, no exception in a page. Times are milliseconds.

/** Differences between records and pages that are no fault: half a second, and the time that a page takes to show it. */
const slack = 1_000;

/** Time within which a page that is connected leaves a call that is over. */
const leaving = 5_000;

/** Time after which the server ends a call of a user alone (15 s), and notices that the others are gone. */
const alone = 25_000;

/** Returns what is wrong with a scene, as short sentences. */
export function judge(seen) {
  const { scene, records, faults } = seen;
  const expected = scene.records ?? 1;
  const problems = faults.map((f) => `a page threw: ${f.split('\n')[0]}`);
  if (records.length !== expected) problems.push(`${records.length} records instead of ${expected}`);
  for (const r of records) problems.push(...judgeRecord(seen, r));
  return [...problems, ...ghosts(seen)];
}

const at = (page, test) => page.events.find(test)?.at;

/** Returns the time during which all of the pages, or any of them, showed a connected call. */
function talk(seen, pages, count) {
  const changes = pages.flatMap((p) => {
    const phases = p.events.filter((e) => e.what === 'phase');
    return phases.map((e, i) => ({
      at: Math.min(e.at, seen.times.end),
      step: Number(e.value === 'connected') - Number(phases[i - 1]?.value === 'connected'),
    }));
  });
  let [sum, inside, since] = [0, 0, 0];
  for (const c of changes.sort((a, b) => a.at - b.at)) {
    if (inside >= count) sum += c.at - since;
    inside += c.step;
    since = c.at;
  }
  return sum;
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
  const first = Math.min(...connected.filter(Boolean));
  check(Math.abs(r.began - first) <= slack + delay, `began ${r.began - first} ms after the pages`);

  if (scene.over) {
    const left = Math.max(...pages.map((p) => p.events.findLast((e) => e.what === 'phase')?.at ?? 0));
    check(
      r.ended >= times.fault - slack && r.ended <= left + slack,
      `ended ${r.ended - times.fault} ms after the fault`,
    );
    check(r.reason === 'left' || r.reason === 'mediaLost', `reason ${r.reason}`);
  } else {
    check(Math.abs(r.ended - times.end) <= slack + delay, `ended ${r.ended - times.end} ms after the click`);
    check(r.reason === 'hangup' && hungUpBy.includes(r.endedBy), `reason ${r.reason} by ${r.endedBy}`);
  }
  const [all, any] = [talk(seen, pages, pages.length), talk(seen, pages, 1)];
  const two = talk(seen, pages, 2);
  check(r.duration <= r.ended - r.began + 1, `talked ${r.duration} ms of ${r.ended - r.began}`);
  check(r.duration >= Math.min(all, two) - slack - delay, `talked ${r.duration} ms, the pages ${all}`);
  check(r.duration <= any + slack + delay, `talked ${r.duration} ms, the pages at most ${any}`);
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
