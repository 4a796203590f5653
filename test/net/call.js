// One call over networks that fail: it begins, something happens to it, it ends. run returns the observations.

import { User, connect } from '../e2e/kit.js';
import { host, otherHost } from './network.js';
import { shiftClock, watch } from './watch.js';

export const names = { alice: 'Alice Moreau', bob: 'Bob Tanaka', carol: 'Carol Okafor' };

const ringLimit = 35_000; // the call rings for 30 s
const pictureLimit = 25_000; // of the wait for pictures; without them the scene goes on
const steady = 3; // seconds of a call before anything happens to it
const endLimit = 10_000; // until every page has left a call that was hung up
const recordLimit = 25_000; // until the record of an ended call; a user alone waits for 15 s
const askLimit = 5_000; // of a question to a page

export const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/** Asks a page. A page that does not answer in time has no answer. */
function ask(page, question, argument) {
  return Promise.race([page.evaluate(question, argument), wait(askLimit / 1000)]).catch(() => undefined);
}

const phaseOf = (page) =>
  ask(page, () => document.querySelector('section[aria-label="Call"]')?.dataset.phase ?? 'idle');

const button = (p, name) => p.page.getByRole('button', { name, exact: true });

/** Waits for a condition until a limit in milliseconds has passed, and returns its last result. */
async function until(limit, condition) {
  const end = Date.now() + limit;
  for (;;) {
    const result = await condition();
    if (result || Date.now() > end) return result;
    await wait(0.1);
  }
}

/** A scene while it runs. Its acts get it. */
export class Scene {
  constructor(scene, cluster, network) {
    Object.assign(this, { scene, cluster, network });
    this.callees = scene.callees ?? ['bob'];
    this.participants = ['alice', ...this.callees];
    this.people = {};
    this.servers = {};
    this.notes = [];
    this.times = {};
  }

  /** Runs the scene and returns the observations. */
  async run() {
    const { scene, cluster, times } = this;
    const faults = (cluster.faults ??= []).length;
    const earlier = new Set((await cluster.call('listCalls', {})).calls.map((c) => c.callID));
    try {
      await this.signIn();
      await this.network.set('alice', scene.conditions);
      await scene.beforeDial?.(this);
      await this.dial();
      await this.accept();
      await this.pictures();
      if (scene.act) {
        await wait(steady);
        times.fault = Date.now();
        await scene.act(this);
        times.restored = Date.now();
      }
      await wait(scene.tail ?? 12);
      await this.hangUp();
      await this.network.set('alice'); // records are compared on a network that works
      const records = await this.records(earlier);
      const pages = await Promise.all(this.participants.map((user) => this.result(user)));
      const { participants, notes, hungUpBy, ender } = this;
      return {
        scene,
        participants,
        times,
        notes,
        hungUpBy,
        ender,
        records,
        pages,
        faults: cluster.faults.slice(faults),
      };
    } finally {
      await this.close();
    }
  }

  /** Launches the browser of a user. One that crashes at its start is launched again. */
  async launch(user, origins, tries = 3) {
    try {
      this.servers[user] = await this.network.launch(user, origins);
      return await connect(this.servers[user]);
    } catch (err) {
      await this.servers[user]?.kill().catch(() => undefined);
      if (tries === 1) throw err;
      return this.launch(user, origins, tries - 1);
    }
  }

  async signIn() {
    const { cluster, scene, people } = this;
    await Promise.all(
      [...new Set([...this.participants, ...(scene.others ?? [])])].map(async (user) => {
        const browser = await this.launch(user, [cluster.url, cluster.otherOrigin]);
        people[user] = await User.signIn(cluster, browser, names[user], {
          otherOrigin: user !== 'alice',
          prepare: async (context) => {
            await context.addInitScript(watch);
            if (scene.clocks?.[user]) await context.addInitScript(shiftClock, scene.clocks[user]);
          },
        });
      }),
    );
  }

  async dial() {
    const { alice } = this.people;
    const [first, ...more] = this.callees;
    await alice.open('chat', more.length ? 'group_demo-team' : `c2c_${first}`);
    await button(alice, 'Video call').waitFor();
    this.times.dial = Date.now();
    await button(alice, 'Video call').click();
    if (more.length) {
      this.times.dial = Date.now();
      await button(alice, `Call (${this.callees.length})`).click();
    }
  }

  /** Answers on each device that rings, after some seconds, as a person does: 1 by default. */
  async accept() {
    await Promise.all(
      this.callees.map(async (user) => {
        const accept = button(this.people[user], 'Accept');
        await accept.waitFor({ timeout: ringLimit });
        await wait(this.scene.ring ?? 1);
        await accept.click();
      }),
    );
    const last = async (what, value) => {
      const times = this.callees.map((user) =>
        ask(this.people[user].page, (e) => window.beckonEvents.find((x) => x.what === e[0] && x.value === e[1])?.at, [
          what,
          value,
        ]),
      );
      return Math.max(...(await Promise.all(times)));
    };
    this.times.rings = await last('dialog', 'Video call');
    this.times.accept = await last('phase', 'connecting');
  }

  /** Waits until each participant sees every other, or has left. */
  async pictures() {
    await Promise.all(
      this.participants.map((user) => {
        const others = this.participants.filter((u) => u !== user).map((u) => names[u]);
        return until(pictureLimit, () =>
          ask(
            this.people[user].page,
            (list) => {
              const { beckonEvents: events } = window;
              const last = events.findLast((e) => e.what === 'phase')?.value;
              const seen = (n) => events.some((e) => e.what === `picture ${n}`);
              return (last === 'idle' && events.some((e) => e.what === 'own')) || list.every(seen);
            },
            others,
          ),
        );
      }),
    );
  }

  /** Ends the call: one of two hangs up; of three all do, the caller last. */
  async hangUp() {
    const { people, participants, times } = this;
    const phases = await Promise.all(participants.map((u) => phaseOf(people[u].page)));
    this.phasesAtEnd = Object.fromEntries(participants.map((u, i) => [u, phases[i]]));
    const inside = [...this.callees, 'alice'].filter((u) => this.phasesAtEnd[u] !== 'idle');
    const clicks = [];
    for (const user of inside) {
      if ((await phaseOf(people[user].page)) === 'idle') continue;
      const at = Date.now();
      await button(people[user], 'Hang up')
        .click({ timeout: askLimit })
        .then(() => clicks.push({ user, at }))
        .catch(() => undefined); // the call has ended just now, or the page hangs: see the result
      if (participants.length === 2) break;
    }
    this.hungUpBy = clicks.map((c) => c.user);
    times.hungUp = clicks[0]?.at ?? Date.now();
    const last = clicks[Math.max(0, inside.length - 2)] ?? clicks.at(-1); // after it one is left
    this.ender = last?.user;
    times.end = last?.at ?? times.hungUp;
    await until(endLimit, async () => {
      const left = await Promise.all(participants.map((u) => phaseOf(people[u].page)));
      return left.every((phase) => phase === 'idle');
    });
  }

  /** Returns the records of this call with their entries in the conversation, once all are closed. */
  async records(earlier) {
    const { cluster, scene } = this;
    const found = await until(recordLimit, async () => {
      const { calls } = await cluster.call('listCalls', {});
      const list = calls.filter((c) => !earlier.has(c.callID) && (c.began || c.ended));
      return list.length >= (scene.records ?? 1) && list.every((c) => c.ended) && list;
    });
    const { calls } = await cluster.call('listCalls', {});
    const list = found || calls.filter((c) => !earlier.has(c.callID));
    const conversationID = this.callees.length > 1 ? 'group_demo-team' : `c2c_${this.callees[0]}`;
    const { messages } = await cluster.call('getHistoryMessageList', { conversationID, limit: 50 }, 'alice');
    return Promise.all(
      list.map(async (record) => {
        const { call } = await cluster.call('getCall', { callID: record.callID });
        const open = await cluster.call('getRoom', { roomID: record.roomID }, 'alice').then(
          () => true,
          (err) => !err.message.includes('8013'),
        );
        const lines = messages.filter((m) => JSON.stringify(m).includes(record.callID)).length;
        return { ...record, detail: call, open, lines };
      }),
    );
  }

  /** Returns the display of the page of a user over time. */
  async result(user) {
    const { page } = this.people[user];
    const events = ((await ask(page, () => window.beckonEvents)) ?? []).sort((a, b) => a.at - b.at);
    const sound = (await ask(page, () => window.beckonSound)) ?? [];
    const timer = await ask(page, () => window.beckonTimer?.text);
    const devicesOn = await ask(page, () => window.beckonDevicesOn());
    return { user, events, sound, timer, devicesOn, phase: await phaseOf(page), atEnd: this.phasesAtEnd[user] };
  }

  async close() {
    await Promise.all(
      Object.values(this.servers).map((s) => Promise.race([s.kill(), wait(askLimit / 1000)]).catch(() => undefined)),
    );
    for (const user of this.network.users) await this.network.set(user);
  }
}

/** Addresses of the server for kit.js. */
export const hosts = { host, otherHost };
