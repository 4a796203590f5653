// The report of make test-net: a row of a table for each scene, and lines with the display of each side over time.

import { names } from './call.js';

const columns = 150; // of a line

export const header = [
  '| scene | rings | all pictures | pictures back | all good | media | sound | timers | record | |',
  '|---|---|---|---|---|---|---|---|---|---|',
].join('\n');

const seconds = (ms) => (ms / 1000).toFixed(1);
const firstName = (name) => name.split(' ')[0];

/** Returns the moment from which a scene counts: the fault, or the answer. */
export function origin({ times }) {
  return times.fault ?? times.accept;
}

/** Returns an event in a few words; nothing for one that is part of another. */
function words({ what, value }) {
  const [kind, ...name] = what.split(' ');
  const who = firstName(name.join(' '));
  switch (kind) {
    case 'phase':
      return value === 'idle' ? 'over' : value;
    case 'own':
      return value && `own link ${value}`;
    case 'peer':
      return value && `${who} ${value}`;
    case 'picture':
      return `picture of ${who} ${value}`;
    case 'banner':
      return value ? 'banner' : 'banner gone';
    case 'path':
      return `media over ${value.toUpperCase()}`;
    case 'toast':
      return value && `"${value}"`;
    case 'dialog':
      return value && 'rings';
    default:
      return value === 'Everybody has left' && `"${value}"`;
  }
}

/** Returns the times after which a page was undisturbed again: its pictures, and everything; null = not before the end. */
export function recovery(seen, page) {
  const from = origin(seen);
  const bad = new Set();
  const back = { pictures: undefined, all: undefined };
  for (const { at, what, value } of page.events) {
    if (at >= seen.times.hungUp) break;
    const [kind] = what.split(' ');
    const wrong = {
      phase: value !== 'connected',
      own: value !== 'good',
      peer: value !== 'good',
      banner: value !== '',
      picture: value === 'still',
    }[kind];
    if (wrong === undefined) continue;
    const before = bad.size;
    if (wrong) bad.add(what);
    else bad.delete(what);
    if (at < from) continue;
    if (kind === 'picture') back.pictures = wrong ? null : at - from;
    if (before || bad.size) back.all = bad.size ? null : at - from;
  }
  return back;
}

/** Returns the share of the sound that was played as it was sent, from the origin to the end. */
function soundOf(seen, page) {
  const part = page.sound.filter((s) => s.at >= origin(seen) && s.at <= seen.times.hungUp);
  let [played, concealed] = [0, 0];
  part.forEach((s, i) => {
    const before = part[i - 1];
    if (!before || s.played < before.played || s.concealed < before.concealed) return; // a new connection
    played += s.played - before.played;
    concealed += s.concealed - before.concealed;
  });
  return played > 0 ? `${Math.round(100 * (1 - concealed / played))} %` : '–';
}

const text = (ms) => (ms === undefined ? '–' : ms === null ? 'no' : seconds(ms));

/** Returns the row of a scene. */
export function row(seen, problems) {
  const { scene, times, pages, records } = seen;
  const back = pages.map((p) => recovery(seen, p));
  const first = pages.map((p) => {
    const shown = new Map(p.events.filter((e) => e.what.startsWith('picture')).map((e) => [e.what, e]));
    const firsts = [...shown.keys()].map((what) => p.events.find((e) => e.what === what).at);
    return firsts.length < pages.length - 1 ? 'no' : seconds(Math.max(...firsts) - times.accept);
  });
  const record = records.map((r) => {
    const by = r.endedBy ? ` by ${r.endedBy}` : '';
    return `${r.reason}${by}, span ${seconds(r.ended - r.began)}, talked ${seconds(r.duration)}`;
  });
  const cells = [
    scene.name,
    seconds(times.rings - times.dial),
    first.join(', '),
    back.map((b) => text(b.pictures)).join(', '),
    back.map((b) => text(b.all)).join(', '),
    pages.map((p) => p.events.findLast((e) => e.what === 'path' && e.at <= times.hungUp)?.value ?? '–').join(', '),
    pages.map((p) => soundOf(seen, p)).join(', '),
    pages.map((p) => p.timer ?? '–').join(', '),
    record.join(' and ') || 'none',
    problems.length ? `**${problems.join('; ')}**` : 'ok',
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Returns an item of the second level of a list, in lines of limited length. */
function item(text) {
  const out = ['  *'];
  for (const word of text.split(' ')) {
    if (out.at(-1).length + word.length + 1 > columns) out.push('   ');
    out[out.length - 1] += ` ${word}`;
  }
  return out.join('\n');
}

/** Returns the display of each side in a scene, as lines of a list. */
export function lines(seen, problems) {
  const from = origin(seen);
  const list = [`* **${seen.scene.name}**${problems.length ? `: ${problems.join('; ')}` : ''}`];
  for (const page of seen.pages) {
    const shown = page.events
      .filter((e) => e.at >= from && e.at < seen.times.hungUp)
      .map((e) => [words(e), seconds(e.at - from)])
      .filter(([word]) => word)
      .map((pair) => pair.join(' '));
    list.push(item(`${firstName(names[page.user])}: ${shown.join(', ') || 'nothing'}`));
  }
  for (const { detail } of seen.records) {
    const stays = (detail.people ?? []).map((p) => `${p.userID} ${seconds(p.duration)} ${p.reason ?? ''}`.trim());
    list.push(item(`record: in the room ${stays.join(', ')}`));
  }
  if (seen.notes.length) list.push(item(seen.notes.join('; ')));
  return list;
}
