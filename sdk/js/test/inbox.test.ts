// The inbox against the real server: the list, timelines and unsent messages, kept by events alone. After random
// actions of three users with four devices each device has the state that a reload returns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BeckonError, type Client, type Options, type Schemas } from '../src/index.js';
import { forward, forwardMerged, Inbox, type Timeline } from '../src/inbox.js';
import { serveTests } from './cluster.js';
import { random } from './random.js';

const server = serveTests();

async function come(userID: string, deviceID: string, options: Partial<Options> = {}): Promise<[Client, Inbox]> {
  const c = server.cluster.device(userID, deviceID, 3600, { storage: false, ...options });
  server.clients.push(c);
  const inbox = new Inbox(c, { storage: false });
  await c.connect();
  await until('the inbox is loaded', () => inbox.loaded);
  return [c, inbox];
}

async function until(state: string, reached: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await reached()); await new Promise((r) => setTimeout(r, 10)))
    if (Date.now() > end) throw new Error(`never: ${state}`);
}

const texts = (t: Timeline): (string | undefined)[] => t.entries.map((e) => (e.event as Schemas['Message']).text);

/** Counts the reads of a client. */
function countReads(c: Client): () => number {
  let reads = 0;
  c.on('onResponse', ({ method }) => {
    if (method.startsWith('get')) reads++;
  });
  return () => reads;
}

test('conversations, unread counts and an open timeline follow events without reads', async () => {
  const [[ann], [bob, inbox]] = await Promise.all([come('ann', 'phone'), come('bob', 'desk')]);
  await ann.sendMessage({ userID: 'bob', text: 'one' });
  await until('one is listed', () => inbox.conversations[0]?.unread === 1);
  const timeline = inbox.timeline('c2c_ann');
  await timeline.open();
  assert.deepEqual(texts(timeline), ['one']);
  assert.equal(timeline.hasOlder, false);

  const reads = countReads(bob);
  let raised = 0;
  inbox.on('onConversations', () => raised++);
  for (const text of ['two', 'three', 'four']) await ann.sendMessage({ userID: 'bob', text });
  const { messageID } = await ann.sendMessage({ userID: 'bob', text: 'mistake' });
  await ann.modifyMessage({ conversationID: 'c2c_bob', messageID, text: 'five' });
  await until('five is there', () => texts(timeline).at(-1) === 'five');
  assert.deepEqual(texts(timeline), ['one', 'two', 'three', 'four', 'five']);
  assert.equal(inbox.totalUnread, 5);
  assert.equal((inbox.conversations[0]?.last as Schemas['Message']).text, 'five');
  assert.equal(reads(), 0, 'an event was answered with a read');
  assert.ok(raised > 0 && inbox.conversations === inbox.conversations, 'the list is a new one without a change');

  await bob.markConversationRead({ conversationID: 'c2c_ann' });
  assert.equal(inbox.totalUnread, 0);
  await bob.setReceiveOption({ conversationID: 'c2c_ann', receiveOption: 'nothing' });
  await ann.sendMessage({ userID: 'bob', text: 'six' });
  await until('six is listed', () => inbox.conversations[0]?.unread === 1);
  assert.equal(inbox.totalUnread, 0, 'a silent conversation counts');
  timeline.close();
});

test('pages: older, an anchor, newer, and the end again', async () => {
  const [[cat], [, inbox]] = await Promise.all([come('cat', 'phone'), come('dan', 'desk')]);
  for (let n = 0; n < 180; n += 10)
    await Promise.all(Array.from({ length: 10 }, (_, i) => cat.sendMessage({ userID: 'dan', text: `m${n + i}` })));
  const timeline = inbox.timeline('c2c_cat');
  await timeline.open();
  assert.equal(timeline.entries.length, 50);
  assert.ok(timeline.hasOlder && !timeline.hasNewer);
  const anchor = timeline.entries[0]!.seq - 70;
  assert.equal(await timeline.older(), true);
  assert.equal(timeline.entries.length, 100);

  await timeline.jump(anchor);
  assert.ok(timeline.hasNewer && timeline.hasOlder);
  assert.ok(timeline.entries.some((e) => e.seq === anchor));
  const shown = timeline.entries.length;
  await cat.sendMessage({ userID: 'dan', text: 'new' });
  await until('new is listed', () => (inbox.conversations[0]?.last as Schemas['Message']).text === 'new');
  assert.equal(timeline.entries.length, shown, 'an entry was added behind a gap');
  while (await timeline.newer());
  assert.equal(timeline.hasNewer, false);
  while (await timeline.older());
  assert.equal(timeline.hasOlder, false);
  const seqs = timeline.entries.map((e) => e.seq);
  assert.equal(seqs.length, 181);
  assert.deepEqual(
    seqs,
    seqs.map((_, i) => seqs[0]! + i),
  );
  await cat.sendMessage({ userID: 'dan', text: 'live' });
  await until('live is there', () => texts(timeline).at(-1) === 'live');
  await timeline.jump(anchor);
  await timeline.latest();
  assert.equal(texts(timeline).at(-1), 'live');
  assert.ok(!timeline.hasNewer);
});

test('a message without a network fails, and is sent again with the same ID; drafts and unsent messages outlive the page', async () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (k: string) => kept.get(k) ?? null,
    setItem: (k: string, v: string) => void kept.set(k, v),
    removeItem: (k: string) => void kept.delete(k),
  };
  const [eve] = await come('eve', 'phone', { callTimeout: 300, repeat: false });
  const inbox = new Inbox(eve, { storage });
  const [, other] = await come('fay', 'desk');
  await until('loaded', () => inbox.loaded);
  inbox.setDraft('c2c_fay', 'half a sen');
  await server.cluster.kill();
  const failed = inbox.send('c2c_fay', { text: 'hello' });
  const [unsent] = inbox.unsent('c2c_fay');
  assert.equal(unsent?.state, 'sending');
  await assert.rejects(failed, (err) => err instanceof BeckonError && err.code === 9520);
  assert.equal(inbox.unsent('c2c_fay')[0]?.state, 'failed');
  inbox.dispose();
  eve.close();
  await server.cluster.run();

  const [again] = await come('eve', 'phone');
  const next = new Inbox(again, { storage });
  await until('restored', () => next.unsent('c2c_fay').length === 1);
  assert.equal(next.draft('c2c_fay'), 'half a sen');
  assert.equal(next.unsent('c2c_fay')[0]?.state, 'failed');
  const { messageID } = await next.retry(unsent.messageID);
  assert.equal(messageID, unsent.messageID);
  assert.deepEqual(next.unsent('c2c_fay'), []);
  const timeline = other.timeline('c2c_eve');
  await timeline.open();
  await until('hello has come', () => texts(timeline).join() === 'hello');
  await assert.rejects(next.retry(messageID), (err) => err instanceof BeckonError && err.field === 'messageID');
  next.setDraft('c2c_fay', '');
  assert.equal(new Inbox(again, { storage }).draft('c2c_fay'), '');

  await assert.rejects(next.send('c2c_fay', { text: 'x'.repeat(20_000) }));
  assert.equal(next.unsent('c2c_fay')[0]?.state, 'failed');
  next.discard(next.unsent('c2c_fay')[0]!.messageID);
  assert.deepEqual(next.unsent('c2c_fay'), []);
  await assert.rejects(
    next.send('fay', { text: 'hi' }),
    (err) => err instanceof BeckonError && err.field === 'conversationID',
  );
});

test('own calls stand in the open timeline, and a group that was left has no entries', async () => {
  const [[gus, inbox], [hal, theirs]] = await Promise.all([come('gus', 'phone'), come('hal', 'desk')]);
  const mine = inbox.timeline('c2c_hal');
  const other = theirs.timeline('c2c_gus');
  await Promise.all([mine.open(), other.open()]);
  const ring = hal.once('onReceiveNewInvitation');
  const { inviteID } = await gus.invite({ invitee: 'hal', timeout: 30, data: 'call' });
  await ring;
  await hal.accept({ inviteID });
  const types = (t: Timeline): number[] => t.entries.map((e) => (e.event as Schemas['Signaling']).actionType);
  await until('both have invite and accept', () => types(mine).join() === '1,3' && types(other).join() === '1,3');

  const { group } = await gus.createGroup({ type: 'Public', name: 'g', memberList: ['hal'] });
  const where = `group_${group.groupID}`;
  const t = theirs.timeline(where);
  await until('the group is listed', () => theirs.conversations.some((v) => v.conversationID === where));
  await gus.sendMessage({ groupID: group.groupID, text: 'in the group' });
  await t.open();
  assert.equal(texts(t).at(-1), 'in the group');
  await gus.kickGroupMember({ groupID: group.groupID, memberList: ['hal'] });
  await until('it is gone', () => !theirs.conversations.some((v) => v.conversationID === where) && !t.entries.length);
});

test('the actions of several invitees have one sequence, and all are entries', async () => {
  const [[lea, inbox], [max, theirs], [ned]] = await Promise.all([
    come('lea', 'phone'),
    come('max', 'desk'),
    come('ned', 'desk'),
  ]);
  const timelines = [inbox.timeline('c2c_max'), theirs.timeline('c2c_lea')];
  await Promise.all(timelines.map((t) => t.open()));
  const rings = Promise.all([max.once('onReceiveNewInvitation'), ned.once('onReceiveNewInvitation')]);
  const { inviteID } = await lea.invite({ inviteeList: ['max', 'ned'], timeout: 30, data: 'call' });
  await rings;
  await ned.reject({ inviteID });
  await max.accept({ inviteID });
  const stored = async (c: Client, id: string): Promise<string> =>
    (await c.getHistoryMessageList({ conversationID: id, limit: 100 })).messages
      .map(({ seq, event }) => [seq, (event as Schemas['Signaling']).version])
      .sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!)
      .join(' ');
  const shown = (t: Timeline): string =>
    t.entries.map(({ seq, event }) => [seq, (event as Schemas['Signaling']).version]).join(' ');
  await until('the caller has all actions', async () => shown(timelines[0]!) === (await stored(lea, 'c2c_max')));
  await until('the invitee has all actions', async () => shown(timelines[1]!) === (await stored(max, 'c2c_lea')));
  assert.ok(timelines[1]!.entries.length > 1, shown(timelines[1]!));
});

test('reactions are shown at once, and typing until a message comes', async () => {
  const [[ann, annsInbox], [bob, inbox]] = await Promise.all([come('nia', 'phone'), come('ole', 'desk')]);
  const { messageID } = await annsInbox.send('c2c_ole', { text: 'hello' });
  const timeline = inbox.timeline('c2c_nia');
  await timeline.open();
  const state = (): unknown => {
    const { event, mine } = timeline.entries[0]!;
    return [(event as Schemas['Message']).reactions ?? [], mine];
  };
  let reads = 0; // of messages: the new conversation is read once, perhaps later
  bob.on('onResponse', ({ method }) => {
    if (/^get.*Message/.test(method)) reads++;
  });
  const message = { conversationID: 'c2c_nia', messageID };
  await bob.addMessageReaction({ ...message, reaction: '👍' });
  assert.deepEqual(state(), [[{ reaction: '👍', count: 1 }], ['👍']]);
  await ann.addMessageReaction({ conversationID: 'c2c_ole', messageID, reaction: '👍' });
  await until('both are counted', () => JSON.stringify(state()) === '[[{"reaction":"👍","count":2}],["👍"]]');
  await bob.removeMessageReaction({ ...message, reaction: '👍' });
  assert.deepEqual(state(), [[{ reaction: '👍', count: 1 }], []]);
  assert.equal(reads, 0, 'a reaction was answered with a read');
  const { users } = await bob.getMessageReactionUserList(message);
  assert.deepEqual(
    users.map((u) => [u.userID, u.reactions]),
    [['nia', ['👍']]],
  );

  annsInbox.typing.report('c2c_ole', 'h');
  annsInbox.typing.report('c2c_ole', 'he');
  await until('ann is typing', () => inbox.typing.users('c2c_nia').join() === 'nia');
  annsInbox.typing.report('c2c_ole', '');
  await until('ann has stopped', () => inbox.typing.users('c2c_nia').length === 0);
  await until('ann is typing again, after the pause of the server', () => {
    annsInbox.typing.report('c2c_ole', 'again');
    return inbox.typing.users('c2c_nia').length === 1;
  });
  await annsInbox.send('c2c_ole', { text: 'again', replyTo: messageID });
  await until('the message is there', () => timeline.entries.length === 2);
  assert.deepEqual(inbox.typing.users('c2c_nia'), []);
  assert.equal((timeline.entries[1]!.event as Schemas['Message']).replyTo, messageID);

  const messages = timeline.entries.map((e) => e.event as Schemas['Message']);
  await inbox.send('c2c_pia', forward(messages[0]!));
  const merged = forwardMerged('of nia', messages).merged!;
  assert.deepEqual(
    [merged.abstracts, merged.messages.map((m) => m.text)],
    [
      ['nia: hello', 'nia: again'],
      ['hello', 'again'],
    ],
  );
  await inbox.send('c2c_pia', { merged });
  const long = { ...messages[0]!, text: '语'.repeat(4000) };
  const many = forwardMerged(
    'many',
    Array.from({ length: 400 }, () => long),
  );
  assert.ok(many.merged!.messages.length < 100 && many.merged!.messages.length > 10);
  await inbox.send('c2c_pia', many);
});

/** A device of the random test. */
interface Copy {
  user: string;
  me: Client;
  inbox: Inbox;
  timelines: Timeline[];
}

type Sent = { by: string; to: string; id: string };

/** Does one random action. Refusals are outcomes as well. */
async function act(d: Copy, all: Copy[], group: string, sent: Sent[], pick: (n: number) => number): Promise<void> {
  const others = [...new Set(all.map((o) => o.user))].filter((u) => u !== d.user);
  const to = pick(3) ? others[pick(others.length)]! : '';
  const conversationID = to ? `c2c_${to}` : `group_${group}`;
  const m = sent.length ? sent[pick(sent.length)]! : undefined;
  const message = m && {
    conversationID: !m.to ? `group_${group}` : `c2c_${m.by === d.user ? m.to : m.by}`,
    messageID: m.id,
  };
  const kind = pick(20);
  if (kind < 5) {
    const { messageID } = await d.inbox.send(conversationID, {
      text: `t${pick(1e6)}`,
      ...(pick(7) ? {} : { excludeFromUnread: true }),
      ...(pick(9) ? {} : { excludeFromLastMessage: true }),
    });
    sent.push({ by: d.user, to, id: messageID });
  } else if (kind === 5) await d.me.markConversationRead({ conversationID });
  else if (kind === 6 && message) await d.me.revokeMessage(message);
  else if (kind === 7 && message) await d.me.modifyMessage({ ...message, text: `changed ${pick(1e6)}` });
  else if (kind === 8) {
    const list = d.timelines.find((t) => t.conversationID === conversationID)?.entries ?? [];
    if (list.length) await d.me.deleteMessages({ conversationID, seqList: [list[pick(list.length)]!.seq] });
  } else if (kind === 9) await call(d, all, group, to, pick);
  else if (kind === 10) await d.me.pinConversation({ conversationID, pin: pick(2) === 0 });
  else if (kind === 11)
    await (pick(2) ? d.me.clearHistory({ conversationID }) : d.me.deleteConversation({ conversationID }));
  else if (kind >= 14 && message) {
    const reaction = ['👍', '❤️', 'ok'][pick(3)]!;
    await (pick(3)
      ? d.me.addMessageReaction({ ...message, reaction })
      : d.me.removeMessageReaction({ ...message, reaction }));
  } else if (kind === 12) await (pick(2) ? d.me.joinGroup({ groupID: group }) : d.me.quitGroup({ groupID: group }));
  else if (kind === 13)
    await all[0]!.me.kickGroupMember({ groupID: group, memberList: [others[pick(others.length)]!] });
}

async function call(d: Copy, all: Copy[], group: string, to: string, pick: (n: number) => number): Promise<void> {
  const { inviteID } = to
    ? await d.me.invite({ invitee: to, timeout: 30, data: 'call' })
    : await d.me.inviteInGroup({ groupID: group, everyone: true, timeout: 30, data: 'call' });
  const other = all.find((o) => (to ? o.user === to : o.user !== d.user))!;
  if (pick(2)) await d.me.cancel({ inviteID });
  else await other.me.accept({ inviteID });
}

/** Returns the state of a device and that of a reload, one conversation or entry per line. */
async function compare(d: Copy): Promise<[string, string]> {
  const listed = (v: readonly Schemas['Conversation'][]): string[] =>
    v
      .map((c) =>
        JSON.stringify([
          ...[c.conversationID, c.unread, c.lastSeq ?? 0, c.readSeq ?? 0, c.peerReadSeq ?? 0, c.pinned ?? false],
          ...[c.receiveOption ?? '', c.clearedSeq ?? 0, (c.last as Schemas['Message'] | undefined)?.text ?? ''],
        ]),
      )
      .sort();
  const lines = (
    id: string,
    entries: readonly { seq: number; event: unknown; mine?: readonly string[] | undefined }[],
  ): string[] =>
    [...entries]
      .sort((a, b) => a.seq - b.seq)
      .map(({ seq, event, mine = [] }) => {
        const { type, text = '', version = 0, revoked = false, reactions = [] } = event as Schemas['Message'];
        const counts = reactions.map((r) => `${r.reaction} ${r.count}`).sort();
        return JSON.stringify([id, seq, type, text, revoked || version, counts, [...mine].sort()]);
      });
  const shown = listed(d.inbox.conversations);
  const stored = listed((await d.me.getConversationList({ limit: 1000 })).conversations);
  for (const { conversationID, entries } of d.timelines) {
    shown.push(...lines(conversationID, entries));
    const page = await d.me.getHistoryMessageList({ conversationID, limit: 1000 }).catch(() => ({ messages: [] }));
    stored.push(...lines(conversationID, page.messages));
  }
  return [shown.join('\n'), stored.join('\n')];
}

for (const round of Array.from({ length: Number(process.env['ROUNDS'] ?? 8) }, (_, i) => i))
  test(`random actions of three users with four devices, round ${round}`, async () => {
    const seed = Date.now() + round;
    const next = random(seed);
    const pick = (n: number): number => Math.floor(next() * n);
    const names = ['ira', 'jon', 'kim'].map((n) => `${n}-${seed}`);
    const devices: Copy[] = [];
    for (const [i, user] of [...names, names[0]!].entries()) {
      const [me, inbox] = await come(user, `d${i}`);
      devices.push({ user, me, inbox, timelines: [] });
    }
    const { group } = await devices[0]!.me.createGroup({
      ...{ type: 'Public', name: 'g', joinOption: 'free', memberList: [names[1]!] },
    });
    for (const d of devices) {
      const peers = names.filter((n) => n !== d.user).map((n) => `c2c_${n}`);
      d.timelines = [...peers, `group_${group.groupID}`].map((id) => d.inbox.timeline(id));
      await Promise.all(d.timelines.map((t) => t.open().catch(() => undefined)));
    }
    const sent: Sent[] = [];
    for (let n = 0; n < 40; n++)
      await Promise.all(
        Array.from({ length: 1 + pick(3) }, () =>
          act(devices[pick(devices.length)]!, devices, group.groupID, sent, pick).catch((err: unknown) => {
            if (!(err instanceof BeckonError) || err.code === 10002) throw err;
          }),
        ),
      );
    for (const d of devices) {
      let both: [string, string] = ['', ''];
      await until('equal', async () => {
        both = await compare(d);
        return both[0] === both[1];
      }).catch(() =>
        assert.equal(both[0], both[1], `seed ${seed}: ${d.user} shows the first, the server has the second`),
      );
    }
    for (const d of devices) d.me.close();
  });
