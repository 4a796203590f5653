// The calls on the screen of the system, as a pure state machine: a state and an event give a state and actions.
import type { Schemas } from '../schema.js';
import type { Reason } from './reason.js';

/** ScreenCall is a call on the screen of the system. */
export interface ScreenCall {
  readonly inviteID: string;
  /** The UUID of the call for CallKit and ConnectionService. */
  readonly uuid: string;
  readonly inviter: string;
  readonly groupID: string;
  /** The conversation to open: that of the group, or that with the other user. */
  readonly conversationID: string;
  readonly roomID: string;
  /** The data of the invitation; empty if cut. */
  readonly data: string;
  /** The data was too long for the push: getInvitation has it. */
  readonly cut: boolean;
  /** The shown name. */
  readonly name: string;
  readonly video: boolean;
  readonly outgoing: boolean;
  /** ringing: no answer yet; answering: the answer is sent; leaving: hung up meanwhile; calling: outgoing, no answer. */
  readonly phase: 'ringing' | 'answering' | 'leaving' | 'active' | 'calling';
  /** The end of ringing by the monotonic clock, in milliseconds; 0 = no limit. */
  readonly deadline: number;
  /** The token of the push; empty without one. */
  readonly answerToken: string;
}

type Room = Schemas['EnterRoomResponse'];

/** The events for the app. */
export interface CallEvents {
  /** An incoming call is on the screen. */
  onIncomingCall: { call: ScreenCall };
  /** The server has taken the user's answer. room is the entry to the media room, if there is a media server. */
  onAnswered: { call: ScreenCall; room?: Room };
  /** An outgoing call was answered. */
  onConnected: { call: ScreenCall };
  /** The user hung up on the screen of the system: leave the room of the call, or cancel its invitation. */
  onHangUp: { call: ScreenCall };
  /** A call left the screen before it was answered. */
  onCallEnded: { call: ScreenCall; reason: Reason; error?: unknown };
  /** The user muted or unmuted a call on the screen of the system. */
  onMuted: { call: ScreenCall; muted: boolean };
  /** The user or another call held or resumed a call. */
  onHeld: { call: ScreenCall; held: boolean };
}

export type ScreenEvent =
  /** An invitation from a push or the connection; onScreen: native code has shown it. */
  | { type: 'invited'; call: ScreenCall; onScreen: boolean }
  /** The deadline of an invitation is known, or has changed. */
  | { type: 'deadline'; inviteID: string; deadline: number }
  /** The user pressed Answer, End or Decline on the screen of the system. */
  | { type: 'answerPressed' | 'endPressed'; uuid: string }
  /** The server has taken the answer, or it failed. */
  | { type: 'answered'; inviteID: string; room?: Room }
  | { type: 'answerFailed'; inviteID: string; reason: Reason; error: unknown }
  /** An invitation is over for this user; onScreen: native code has shown it. */
  | { type: 'over'; inviteID: string; uuid: string; reason: Reason; onScreen: boolean }
  /** The system did not show a call. */
  | { type: 'notShown'; uuid: string }
  /** The app calls; the other side has answered. */
  | { type: 'calling'; call: ScreenCall }
  | { type: 'peerAnswered'; inviteID: string }
  /** The app ends a call. */
  | { type: 'ended'; inviteID: string; reason: Reason }
  | { type: 'time'; now: number };

/** ScreenAction changes the screen of the system. close takes a call off it. */
export type ScreenAction =
  { type: 'show' | 'start' | 'connected'; call: ScreenCall } | { type: 'close'; uuid: string; reason: Reason };

export type Action =
  | ScreenAction
  /** Sends a request to the server. */
  | { type: 'ring' | 'accept' | 'reject'; call: ScreenCall }
  | { [K in keyof CallEvents]: { type: 'emit'; name: K; event: CallEvents[K] } }[keyof CallEvents];

/** Screen is the state. over has the latest calls that have left the screen, pressed the buttons of unknown calls. */
export interface Screen {
  readonly calls: readonly ScreenCall[];
  readonly over: readonly { inviteID: string; uuid: string; reason: Reason }[];
  readonly pressed: readonly { uuid: string; button: 'answerPressed' | 'endPressed' }[];
}

export const emptyScreen: Screen = { calls: [], over: [], pressed: [] };

type Step = [Screen, Action[]];

/** The most remembered calls and buttons. */
const maxRemembered = 100;

/** Applies an event. Events that are late, repeated, or of unknown calls have no effect. */
export function reduce(s: Screen, e: ScreenEvent): Step {
  switch (e.type) {
    case 'invited':
      return invited(s, e.call, e.onScreen);
    case 'calling':
      if (s.calls.some((c) => c.inviteID === e.call.inviteID)) return [s, []];
      return [{ ...s, calls: [...s.calls, e.call] }, [{ type: 'start', call: e.call }]];
    case 'answerPressed':
    case 'endPressed':
      return pressed(s, e.type, e.uuid);
    case 'over':
      return over(s, e);
    case 'time':
      return time(s, e.now);
    case 'notShown': {
      const call = s.calls.find((c) => c.uuid === e.uuid);
      return call?.phase === 'ringing' ? [remove(s, call, e.type), [endedBy(call, e.type)]] : [s, []];
    }
  }
  const call = s.calls.find((c) => c.inviteID === e.inviteID);
  if (!call) return [s, []];
  switch (e.type) {
    case 'deadline':
      return call.phase === 'ringing' ? [replace(s, { ...call, deadline: e.deadline }), []] : [s, []];
    case 'answered':
      return answered(s, call, e.room);
    case 'answerFailed':
      return ended(s, call, e.reason, e.error);
    case 'peerAnswered': {
      if (call.phase !== 'calling') return [s, []];
      const active: ScreenCall = { ...call, phase: 'active' };
      return [replace(s, active), [{ type: 'connected', call: active }, emit('onConnected', { call: active })]];
    }
    case 'ended': {
      const close: Action = { type: 'close', uuid: call.uuid, reason: e.reason };
      if (call.phase === 'answering') return [replace(s, { ...call, phase: 'leaving' }), [close]];
      return [remove(s, call, e.reason), call.phase === 'ringing' ? [close, { type: 'reject', call }] : [close]];
    }
  }
}

function invited(s: Screen, call: ScreenCall, onScreen: boolean): Step {
  const past = s.over.find((o) => o.inviteID === call.inviteID);
  if (past) return [s, onScreen ? [{ type: 'close', uuid: past.uuid, reason: past.reason }] : []];
  const known = s.calls.find((c) => c.inviteID === call.inviteID);
  if (known) {
    const answerToken = known.answerToken || call.answerToken;
    return [replace(s, { ...known, answerToken, deadline: known.deadline || call.deadline }), []];
  }
  const next: Screen = { ...s, calls: [...s.calls, call] };
  const shown: Action[] = [
    ...(onScreen ? [] : [{ type: 'show', call } as const]),
    { type: 'ring', call },
    emit('onIncomingCall', { call }),
  ];
  const early = s.pressed.find((p) => p.uuid === call.uuid);
  if (!early) return [next, shown];
  const [after, actions] = pressed({ ...next, pressed: s.pressed.filter((p) => p !== early) }, early.button, call.uuid);
  return [after, [...shown, ...actions]];
}

function pressed(s: Screen, button: 'answerPressed' | 'endPressed', uuid: string): Step {
  const call = s.calls.find((c) => c.uuid === uuid);
  if (!call) {
    if (s.over.some((o) => o.uuid === uuid)) return [s, []];
    return [{ ...s, pressed: [...s.pressed, { uuid, button }].slice(-maxRemembered) }, []];
  }
  if (button === 'answerPressed') {
    if (call.phase !== 'ringing') return [s, []];
    const answering: ScreenCall = { ...call, phase: 'answering' };
    return [replace(s, answering), [{ type: 'accept', call: answering }]];
  }
  switch (call.phase) {
    case 'ringing':
      return [remove(s, call, 'declined'), [{ type: 'reject', call }, endedBy(call, 'declined')]];
    case 'answering': // the answer may have taken effect
      return [replace(s, { ...call, phase: 'leaving' }), []];
    case 'leaving':
      return [s, []];
    default:
      return [remove(s, call, 'hungUp'), [emit('onHangUp', { call })]];
  }
}

function answered(s: Screen, call: ScreenCall, room: Room | undefined): Step {
  if (call.phase === 'leaving') return [remove(s, call, 'hungUp'), [emit('onHangUp', { call })]];
  if (call.phase !== 'answering') return [s, []];
  const active: ScreenCall = { ...call, phase: 'active' };
  const event = { call: active, ...(room ? { room } : {}) };
  return [replace(s, active), [{ type: 'connected', call: active }, emit('onAnswered', event)]];
}

/** While an answer is sent, its response decides; an answered call is ended by the app or the user. */
function over(s: Screen, e: ScreenEvent & { type: 'over' }): Step {
  const call = s.calls.find((c) => c.inviteID === e.inviteID);
  if (call) return call.phase === 'ringing' || call.phase === 'calling' ? ended(s, call, e.reason) : [s, []];
  const close: Action[] = e.onScreen ? [{ type: 'close', uuid: e.uuid, reason: e.reason }] : [];
  return [s.over.some((o) => o.inviteID === e.inviteID) ? s : remove(s, e, e.reason), close];
}

function time(s: Screen, now: number): Step {
  const late = s.calls.filter((c) => c.phase === 'ringing' && c.deadline && c.deadline <= now);
  return late.reduce<Step>(
    ([state, actions], call) => {
      const [next, more] = ended(state, call, 'unanswered');
      return [next, [...actions, ...more]];
    },
    [s, []],
  );
}

/** Takes a call off the screen. */
function ended(s: Screen, call: ScreenCall, reason: Reason, error?: unknown): Step {
  return [remove(s, call, reason), [{ type: 'close', uuid: call.uuid, reason }, endedBy(call, reason, error)]];
}

function endedBy(call: ScreenCall, reason: Reason, error?: unknown): Action {
  return emit('onCallEnded', { call, reason, ...(error === undefined ? {} : { error }) });
}

function emit<K extends keyof CallEvents>(name: K, event: CallEvents[K]): Action {
  return { type: 'emit', name, event } as Action;
}

function replace(s: Screen, call: ScreenCall): Screen {
  return { ...s, calls: s.calls.map((c) => (c.inviteID === call.inviteID ? call : c)) };
}

/** Removes a call and remembers it, so that late pushes and events of it have no effect. */
function remove(s: Screen, { inviteID, uuid }: { inviteID: string; uuid: string }, reason: Reason): Screen {
  return {
    calls: s.calls.filter((c) => c.inviteID !== inviteID),
    over: [...s.over, { inviteID, uuid, reason }].slice(-maxRemembered),
    pressed: s.pressed.filter((p) => p.uuid !== uuid),
  };
}
