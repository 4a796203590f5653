// Measures calls of many: the time from the click on Accept to the first picture, and to all of them, in Chromium, and
// the cost of the call for the server. The other participants are programs with recorded video and sound (test/conference).
// Run it with: make bench-conference

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Cluster, User, launch, root, watchPeers } from './kit.js';

const rounds = 5;
const seconds = 20; // of the measurement of the server
const me = 'alice';
const wait = (s) => new Promise((resolve) => setTimeout(resolve, 1000 * s));
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const directory = mkdtempSync(join(tmpdir(), 'beckon-conference-'));
const cluster = await Cluster.start();
const browser = await launch();

/**
 * Runs in a page: encodes 4 s of moving squares, which need the bit rate of LiveKit's clients for a tile, and of the fake
 * microphone.
 */
async function record() {
  const encode = async (encoder, options, count, next) => {
    const frames = [];
    const e = new encoder({
      output: (chunk) => {
        const data = new Uint8Array(chunk.byteLength);
        chunk.copyTo(data);
        frames.push(btoa(String.fromCharCode(...data)));
      },
      error: (err) => console.error(err),
    });
    e.configure(options);
    for (let n = 0; frames.length < count && n < 10 * count; n++) {
      const value = await next(n);
      e.encode(value, { keyFrame: n === 0 });
      value.close();
    }
    await e.flush();
    return frames.slice(0, count);
  };
  const [width, height, framerate] = [640, 360, 20];
  const canvas = new OffscreenCanvas(width, height);
  const paint = canvas.getContext('2d');
  const picture = (n) => {
    for (let i = 0; i < 60; i++) {
      paint.fillStyle = `hsl(${360 * Math.random()} 60% 50%)`;
      paint.fillRect(width * Math.random(), height * Math.random(), 16, 16);
    }
    return new VideoFrame(canvas, { timestamp: (n * 1e6) / framerate });
  };
  const vp8 = { codec: 'vp8', width, height, framerate, bitrate: 450_000, latencyMode: 'realtime' };
  const video = await encode(VideoEncoder, vp8, 80, picture);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const [track] = stream.getAudioTracks();
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const opus = { codec: 'opus', sampleRate: track.getSettings().sampleRate, numberOfChannels: 1, bitrate: 32_000 };
  const audio = await encode(AudioEncoder, opus, 200, async () => (await reader.read()).value);
  track.stop();
  return [video, audio];
}

/** Writes frames as an IVF file, and returns its name. */
function ivf(name, code, rate, frames) {
  const header = Buffer.alloc(32);
  header.write('DKIF');
  header.writeUInt16LE(32, 6);
  header.write(code, 8);
  header.writeUInt16LE(640, 12);
  header.writeUInt16LE(360, 14);
  header.writeUInt32LE(rate, 16);
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(frames.length, 24);
  const parts = frames.flatMap((text, i) => {
    const data = Buffer.from(text, 'base64');
    const head = Buffer.alloc(12);
    head.writeUInt32LE(data.length);
    head.writeUInt32LE(i, 4);
    return [head, data];
  });
  const file = join(directory, name);
  writeFileSync(file, Buffer.concat([header, ...parts]));
  return file;
}

/** Runs in each page: notes the click on Accept, and the first picture of each user. */
function watch() {
  addEventListener(
    'click',
    (e) => {
      if (e.target.closest('button')?.textContent === 'Accept')
        window.beckonAccepted = { at: performance.now(), seen: {} };
    },
    true,
  );
  new MutationObserver(() => {
    for (const v of document.querySelectorAll('.tile:not(.own) video[data-source="camera"]')) {
      if (v.watched) continue;
      v.watched = true;
      const { user } = v.closest('.tile').dataset;
      v.requestVideoFrameCallback(() => {
        if (window.beckonAccepted) window.beckonAccepted.seen[user] ??= performance.now() - window.beckonAccepted.at;
      });
    }
  }).observe(document, { childList: true, subtree: true });
}

/** Runs in the page: waits until sound of a number of users has arrived, and returns the times for the first and all. */
async function sounds(count) {
  let first = 0;
  for (;;) {
    const reports = await Promise.all((window.beckonPeers?.() ?? []).map((pc) => pc.getStats()));
    const stats = reports.flatMap((r) => [...r.values()]);
    const n = stats.filter((s) => s.type === 'inbound-rtp' && s.kind === 'audio' && s.packetsReceived > 0).length;
    const since = performance.now() - window.beckonAccepted.at;
    if (n > 0) first ||= since;
    if (n >= count || since > 20_000) return [first, n >= count ? since : NaN];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Returns the processor time of the server in seconds, and its memory in MiB. */
function cost() {
  const stat = readFileSync(`/proc/${cluster.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cluster.child.pid}/status`, 'utf8'))[1];
  return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, memory: Number(memory) / 1024, at: performance.now() };
}

/** Measures the server for some time. */
async function measure() {
  const before = cost();
  await wait(seconds);
  const after = cost();
  return `${((100_000 * (after.cpu - before.cpu)) / (after.at - before.at)).toFixed(0)} % of a core, ${after.memory.toFixed(0)} MiB`;
}

/** Measures a call of count users, of which all but one are programs. */
async function conference(media, count, clips) {
  const groupID = `bench-${media}`;
  const others = Array.from({ length: count - 1 }, (_, i) => `${media}-${i + 1}`);
  await cluster.call('importGroups', {
    groups: [
      {
        groupID,
        type: 'Work',
        owner: others[0],
        name: groupID,
        members: [...others.slice(1), me].map((userID) => ({ userID })),
      },
    ],
  });
  const invitation = {
    groupID,
    roomID: `room-${media}`,
    timeout: 60,
    data: JSON.stringify({ call: 1, media }),
  };
  const { inviteID } = await cluster.call('inviteInGroup', { ...invitation, inviteeList: others.slice(1) }, others[0]);
  for (const user of others.slice(1)) await cluster.call('accept', { inviteID }, user);
  const tokens = [];
  for (const user of others) tokens.push((await cluster.call('enterRoom', { roomID: invitation.roomID }, user)).token);
  const program = spawn(
    join(root, 'bin', 'conference'),
    [
      ...['-url', cluster.url.replace('http', 'ws'), '-users', others.length, '-audio', clips.audio],
      ...(media === 'video' ? ['-video', clips.video] : []),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  try {
    program.stdin.write(tokens.map((t) => `${t}\n`).join(''));
    const output = createInterface({ input: program.stdout });
    const read = () => Promise.race([once(output, 'line'), once(program, 'exit')]);
    const [line] = await read();
    if (line !== 'joined') throw new Error(`the participants did not join: ${line}`);
    const alice = await User.signIn(cluster, browser, 'Alice Moreau', {
      prepare: async (context) => {
        await watchPeers(context);
        await context.addInitScript(watch);
      },
    });
    const [firsts, alls] = [[], []];
    for (let i = 0; i <= rounds; i++) {
      await cluster.call('inviteInGroup', { ...invitation, inviteeList: [me] }, others[0]);
      await alice.page.getByRole('button', { name: 'Accept' }).click();
      const [first, all] =
        media === 'audio'
          ? await alice.page.evaluate(sounds, others.length)
          : await alice.page
              .waitForFunction((n) => Object.keys(window.beckonAccepted.seen).length >= n, others.length)
              .then(() => alice.page.evaluate(() => Object.values(window.beckonAccepted.seen)))
              .then((times) => [Math.min(...times), Math.max(...times)]);
      if (i > 0) {
        // not the first one: it starts the codecs
        firsts.push(first);
        alls.push(all);
      }
      if (i === rounds) break;
      await alice.page.getByRole('button', { name: 'Hang up' }).click();
      await alice.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
    }
    await wait(3);
    const server = await measure();
    program.stdin.end();
    const [received] = await read();
    const range = (list) =>
      `${median(list).toFixed(0)} ms (${Math.min(...list).toFixed(0)} to ${Math.max(...list).toFixed(0)})`;
    console.log(
      `| ${count} in ${media} | ${range(firsts)} | ${range(alls)} | ${server} | ${(received / 1e6).toFixed(2)} Mbit/s |`,
    );
    await alice.leave();
  } finally {
    program.kill();
  }
  await cluster.call('dismissRoom', { roomID: invitation.roomID }, others[0]).catch(() => undefined);
}

try {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  await page.goto(cluster.url);
  const [video, audio] = await page.evaluate(record);
  await context.close();
  const clips = { video: ivf('video.ivf', 'VP80', 20, video), audio: ivf('audio.ivf', 'OPUS', 50, audio) };
  const bits = (list, rate) => Math.round((list.reduce((n, f) => n + f.length * 6, 0) / list.length) * rate);
  console.log(`each sends: video ${bits(video, 20)} bit/s, audio ${bits(audio, 50)} bit/s`);
  console.log(`server without a call: ${await measure()}`);
  console.log('\n| call | first picture or sound | all | server | each program received |\n|---|---|---|---|---|');
  await conference('video', 10, clips);
  await conference('audio', 20, clips);
} finally {
  await browser.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}
