// The state machine of the calls on the screen, and the UUIDs of calls.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { uuidOf } from '../src/native/index.js';
import { endCode, reasonOfError } from '../src/native/reason.js';
import { emptyScreen, reduce, type Screen, type ScreenCall, type ScreenEvent } from '../src/native/screen.js';
import { BeckonError, Code, type Schemas } from '../src/index.js';
import { random } from './random.js';

const uuid = uuidOf('i');
const call: ScreenCall = {
  inviteID: 'i',
  uuid,
  inviter: 'alice',
  groupID: '',
  conversationID: 'c2c_alice',
  roomID: 'r',
  data: '',
  cut: false,
  name: 'Alice',
  video: false,
  outgoing: false,
  phase: 'ringing',
  deadline: 1000,
  answerToken: 't',
};
const invited = (onScreen = false): ScreenEvent => ({ type: 'invited', call, onScreen });
const pressed = (button: 'answerPressed' | 'endPressed'): ScreenEvent => ({ type: button, uuid });
const over = (reason: 'remoteEnded' | 'answeredElsewhere'): ScreenEvent => ({
  type: 'over',
  inviteID: 'i',
  uuid,
  reason,
  onScreen: false,
});
const answered: ScreenEvent = { type: 'answered', inviteID: 'i' };
const failed: ScreenEvent = { type: 'answerFailed', inviteID: 'i', reason: 'failed', error: new Error('no network') };

/** Applies events, and returns the actions in short form and the calls that remain. */
function play(...events: ScreenEvent[]): { actions: string[]; phases: string[] } {
  let screen: Screen = emptyScreen;
  const actions = events.flatMap((e) => {
    const [next, list] = reduce(screen, e);
    screen = next;
    return list.map((a) => {
      if (a.type === 'emit') return a.name === 'onCallEnded' ? `onCallEnded ${a.event.reason}` : a.name;
      return a.type === 'close' ? `close ${a.reason}` : a.type;
    });
  });
  return { actions, phases: screen.calls.map((c) => c.phase) };
}

const cases: [name: string, events: ScreenEvent[], actions: string[], phases: string[]][] = [
  ['invited twice', [invited(), invited(true)], ['show', 'ring', 'onIncomingCall'], ['ringing']],
  ['shown by native code', [invited(true)], ['ring', 'onIncomingCall'], ['ringing']],
  [
    'answered before JavaScript knew the push',
    [pressed('answerPressed'), invited(true), answered],
    ['ring', 'onIncomingCall', 'accept', 'connected', 'onAnswered'],
    ['active'],
  ],
  [
    'declined before JavaScript knew the push',
    [pressed('endPressed'), invited(true)],
    ['ring', 'onIncomingCall', 'reject', 'onCallEnded declined'],
    [],
  ],
  [
    'answered twice',
    [invited(), pressed('answerPressed'), pressed('answerPressed')],
    ['show', 'ring', 'onIncomingCall', 'accept'],
    ['answering'],
  ],
  [
    'over while the answer is sent: the response decides',
    [invited(true), pressed('answerPressed'), over('remoteEnded'), answered],
    ['ring', 'onIncomingCall', 'accept', 'connected', 'onAnswered'],
    ['active'],
  ],
  [
    'the answer fails',
    [invited(true), pressed('answerPressed'), failed],
    ['ring', 'onIncomingCall', 'accept', 'close failed', 'onCallEnded failed'],
    [],
  ],
  [
    'hung up while the answer is sent',
    [invited(true), pressed('answerPressed'), pressed('endPressed'), pressed('endPressed'), answered],
    ['ring', 'onIncomingCall', 'accept', 'onHangUp'],
    [],
  ],
  [
    'hung up by the app while the answer is sent',
    [invited(true), pressed('answerPressed'), { type: 'ended', inviteID: 'i', reason: 'hungUp' }, answered],
    ['ring', 'onIncomingCall', 'accept', 'close hungUp', 'onHangUp'],
    [],
  ],
  [
    'over, then its push',
    [invited(), over('answeredElsewhere'), invited(), invited(true)],
    [
      'show',
      'ring',
      'onIncomingCall',
      'close answeredElsewhere',
      'onCallEnded answeredElsewhere',
      'close answeredElsewhere',
    ],
    [],
  ],
  ['the end before its push', [over('remoteEnded'), invited(), pressed('answerPressed')], [], []],
  [
    'a button after the end',
    [invited(), over('remoteEnded'), pressed('answerPressed'), pressed('endPressed'), failed],
    ['show', 'ring', 'onIncomingCall', 'close remoteEnded', 'onCallEnded remoteEnded'],
    [],
  ],
  [
    'the deadline, and a later one of ring',
    [
      invited(true),
      { type: 'time', now: 999 },
      { type: 'deadline', inviteID: 'i', deadline: 5000 },
      { type: 'time', now: 4000 },
      { type: 'time', now: 5000 },
    ],
    ['ring', 'onIncomingCall', 'close unanswered', 'onCallEnded unanswered'],
    [],
  ],
  [
    'the deadline passes while the answer is sent',
    [invited(true), pressed('answerPressed'), { type: 'time', now: 2000 }, answered],
    ['ring', 'onIncomingCall', 'accept', 'connected', 'onAnswered'],
    ['active'],
  ],
  [
    'not shown by the system',
    [invited(), { type: 'notShown', uuid }, over('answeredElsewhere')],
    ['show', 'ring', 'onIncomingCall', 'onCallEnded notShown'],
    [],
  ],
  [
    'declined by the app',
    [invited(true), { type: 'ended', inviteID: 'i', reason: 'hungUp' }, pressed('endPressed')],
    ['ring', 'onIncomingCall', 'close hungUp', 'reject'],
    [],
  ],
  [
    'outgoing, reported twice, answered by two, hung up on the screen',
    [
      { type: 'calling', call: { ...call, outgoing: true, phase: 'calling' } },
      { type: 'calling', call: { ...call, outgoing: true, phase: 'calling' } },
      { type: 'peerAnswered', inviteID: 'i' },
      { type: 'peerAnswered', inviteID: 'i' },
      pressed('endPressed'),
    ],
    ['start', 'connected', 'onConnected', 'onHangUp'],
    [],
  ],
];

for (const [name, events, actions, phases] of cases)
  test(name, () => assert.deepEqual(play(...events), { actions, phases }));

test('in any order of events a call is shown once, answered once, and ends once', () => {
  const next = random(7);
  const kinds: (() => ScreenEvent)[] = [
    () => invited(next() < 0.5),
    () => pressed('answerPressed'),
    () => pressed('endPressed'),
    () => over('remoteEnded'),
    () => answered,
    () => failed,
    () => ({ type: 'time', now: 2000 * next() }),
    () => ({ type: 'notShown', uuid }),
    () => ({ type: 'ended', inviteID: 'i', reason: 'hungUp' }),
  ];
  for (let n = 0; n < 20_000; n++) {
    const events = Array.from({ length: 8 }, () => kinds[Math.floor(next() * kinds.length)]!());
    const { actions } = play(...events);
    const count = (...names: string[]): number => actions.filter((a) => names.includes(a.split(' ')[0]!)).length;
    const context = JSON.stringify({ events: events.map((e) => e.type), actions });
    assert.ok(count('show') <= 1, context);
    assert.ok(count('accept', 'reject') <= 1, context);
    assert.ok(count('onAnswered') <= 1 && count('onIncomingCall') <= 1, context);
    assert.ok(count('onCallEnded', 'onHangUp') <= 1, context);
    assert.ok(!actions.includes('onAnswered') || actions.includes('accept'), context);
  }
});

test('UUIDs are version 5 of RFC 9562, for IDs of any form and length', () => {
  const ids = [
    'a',
    'call:1',
    '0197f6a2-3b1c-7def-8000-0123456789ab',
    'A.b_c-d:e',
    ...[55, 56, 63, 64].map((n) => 'x'.repeat(n)),
  ];
  const namespace = Buffer.from('b5c15f3e370e4b6c9a522d0b6b9f18e4', 'hex');
  for (const id of ids) {
    const hash = createHash('sha1').update(namespace).update(id).digest('hex');
    const variant = ((parseInt(hash[16]!, 16) & 3) | 8).toString(16);
    const hex = `${hash.slice(0, 12)}5${hash.slice(13, 16)}${variant}${hash.slice(17, 32)}`;
    assert.equal(uuidOf(id).replaceAll('-', ''), hex);
    assert.match(uuidOf(id), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  }
});

test('the reasons of refused answers, and their numbers on each platform', () => {
  const refused = (action: Schemas['Won']['action'], reason = ''): string =>
    reasonOfError(new BeckonError({ code: Code.Over, message: '', won: { action, reason, time: 0 } }));
  assert.equal(refused('accept'), 'answeredElsewhere');
  assert.equal(refused('reject'), 'declinedElsewhere');
  assert.equal(refused('timeout'), 'unanswered');
  assert.equal(refused('cancel'), 'remoteEnded');
  assert.equal(refused('cancel', 'answered'), 'answeredElsewhere');
  assert.equal(reasonOfError(new TypeError('no network')), 'failed');
  assert.equal(endCode('unanswered', 'ios'), 3);
  assert.equal(endCode('unanswered', 'android'), 6);
});
