// Texts for the entries of a conversation.
import type { Schemas } from 'beckon';
import { saysBusy } from 'beckon/call';
import type { Session } from './session.js';
import { duration } from './use.js';

export interface Line {
  key: string;
  seq: number;
  time: number;
  from: string;
  kind: 'message' | 'note' | 'call';
  text: string;
  message?: Schemas['Message'];
  /** A missed or busy call: it offers a call back. */
  missed?: boolean;
  media?: 'video' | 'audio';
  /** A missed group call that may still be in progress: it offers to join. */
  late?: { roomID: string; inviteID: string; inviter: string };
}

/** The data field of this app's invitations. */
export interface SceneData {
  call?: 1;
  media?: 'video' | 'audio';
  join?: string;
  scene?: 'hands' | 'lower' | 'speak' | 'mic';
  text?: string;
}

export function readScene(data: string | undefined): SceneData {
  try {
    return (JSON.parse(data || '{}') as SceneData | null) ?? {};
  } catch {
    return {};
  }
}

export function when(ms: number): string {
  const d = new Date(ms);
  const today = new Date().toDateString() === d.toDateString();
  return d.toLocaleString([], today ? { hour: '2-digit', minute: '2-digit' } : { day: 'numeric', month: 'short' });
}

type Named = (userID: string) => string;

/** Returns the text of a message. */
export function describe(m: Schemas['Message']): string {
  if (m.revoked) return 'This message was recalled';
  if (m.text) return m.text;
  if (m.image) return 'Picture';
  if (m.sound) return 'Voice message';
  if (m.video) return 'Video';
  if (m.file) return m.file.name || 'File';
  if (m.location) return m.location.description || 'Place';
  if (m.merged) return m.merged.title;
  if (m.call) return recordOf(m.call);
  return m.custom?.description || 'Message';
}

/** Returns the text of a call record. media is that of the invitation, for records without one. */
function recordOf(call: Schemas['CallElem'], media?: 'video' | 'audio'): string {
  const kind = call.media || media;
  return `${kind === 'audio' ? 'Voice call' : kind === 'video' ? 'Video call' : 'Call'} · ${duration(call.duration)}`;
}

const tips: Record<string, (e: Schemas['GroupEvent'], name: Named) => string> = {
  memberEnter: (e, n) => `${list(e, n)} joined`,
  memberInvited: (e, n) => `${n(e.from ?? '')} added ${list(e, n)}`,
  memberLeave: (e, n) => `${list(e, n)} left`,
  memberKicked: (e, n) => `${n(e.from ?? '')} removed ${list(e, n)}`,
  administratorGranted: (e, n) => `${list(e, n)} can now moderate`,
  administratorRevoked: (e, n) => `${list(e, n)} no longer moderates`,
  groupInfoChanged: (e, n) => `${n(e.from ?? '')} changed the group’s details`,
  ownerChanged: (e, n) => `${n(e.owner ?? '')} is now the owner`,
  allMembersMuted: (e) => (e.on ? 'Only moderators may write now' : 'Everybody may write again'),
};

function list(e: Schemas['GroupEvent'], n: Named): string {
  return (e.members ?? []).map(n).join(', ');
}

/** Returns the text of a signaling message; "" if it is not shown. */
function signal(m: Schemas['Signaling'], d: SceneData, me: string, name: Named): { text: string; missed?: boolean } {
  const mine = m.inviter === me;
  const names = (m.answers ?? []).map((a) => name(a.invitee)).join(', ');
  if (d.scene === 'hands') {
    if (m.actionType === 1) return { text: `${mine ? 'You ask' : `${name(m.inviter)} asks`} for raised hands` };
    if (m.actionType === 3) return { text: `${names} raised a hand` };
    return { text: m.actionType === 2 ? `${mine ? 'You' : name(m.inviter)} lowered all hands` : '' };
  }
  if (d.scene === 'lower') return { text: `${mine ? 'You' : name(m.inviter)} lowered all hands` };
  if (d.scene === 'speak')
    return {
      text:
        m.actionType === 1
          ? `${mine ? 'You ask' : `${name(m.inviter)} asks`} ${(m.inviteeList ?? []).map(name).join(', ').replace('You', 'you')} to speak`
          : m.actionType === 3
            ? `${names} ${names === 'You' ? 'speak' : 'speaks'}`
            : '',
    };
  if (d.scene === 'mic')
    return { text: m.actionType === 1 ? `${mine ? 'You asked' : `${name(m.inviter)} asked`} for the microphone` : '' };
  if (!d.call || d.join) return { text: '' };
  return callLine(m, d.media === 'audio' ? 'voice call' : 'video call', me, name);
}

/** Returns the text of an action on the invitation of a call, for this user. */
function callLine(m: Schemas['Signaling'], call: string, me: string, name: Named): { text: string; missed?: boolean } {
  const mine = m.inviter === me;
  const several = Boolean(m.groupID) || (m.inviteeList?.length ?? 0) > 1;
  const about = m.inviteeList ?? [];
  const own = !mine && (about.includes(me) || m.everyone || (!m.groupID && about.length === 0));
  const answer = m.answers?.find((a) => a.invitee === me);
  const names = (m.answers ?? []).map((a) => name(a.invitee)).join(', ');
  const busy = m.answers?.some((a) => saysBusy(a.reason, a.data)) ?? false;
  switch (m.actionType) {
    case 1:
      return { text: m.groupID ? `${name(m.inviter)} began a ${call}` : '' };
    case 2:
      if (m.reason === 'answered') return { text: own ? `Someone else answered the ${call}` : '' };
      if (mine) return { text: m.reason === 'left' ? '' : `You cancelled the ${call}` };
      return own ? { text: `Missed ${call}`, missed: true } : { text: '' };
    case 4:
      if (mine || !answer) return { text: busy ? `${names} was in another call` : `${names} declined the ${call}` };
      return answer && saysBusy(answer.reason, answer.data)
        ? { text: `Missed ${call}: you were in another one`, missed: true }
        : { text: `You declined the ${call}` };
    case 5:
      if (mine) return { text: several ? `No answer from ${about.map(name).join(', ')}` : `No answer to the ${call}` };
      return own ? { text: `Missed ${call}`, missed: true } : { text: '' };
  }
  return { text: '' };
}

/** Turns a page of history into lines, the oldest first. */
export function linesOf(s: Session, entries: readonly { seq: number; event: unknown }[]): Line[] {
  const name: Named = (u) => (u === s.me ? 'You' : s.name(u));
  const scenes = new Map<string, SceneData & { roomID: string }>();
  const ended = new Set<string>(); // invitations with a call record
  for (const e of entries) {
    const m = e.event as Schemas['Signaling'];
    if (m.type === 'signaling' && (m.actionType === 1 || m.actionType === 7))
      scenes.set(m.inviteID, { ...readScene(m.data), roomID: m.roomID ?? '' });
    const record = (e.event as Schemas['Message']).call;
    if (record?.inviteID) ended.add(record.inviteID);
  }
  const lines: Line[] = [];
  for (const e of [...entries].sort((a, b) => a.seq - b.seq)) {
    const event = e.event as { type: string; time: number };
    const { version = 0 } = e.event as { version?: number };
    const base = { key: `${e.seq}:${event.type === 'signaling' ? version : 0}`, seq: e.seq, time: event.time };
    if (event.type === 'message') {
      const m = event as Schemas['Message'];
      const media = scenes.get(m.call?.inviteID ?? '')?.media;
      if (m.call && m.call.duration === 0) continue; // never connected
      if (m.call)
        lines.push({
          ...base,
          from: m.from,
          kind: 'call',
          text: recordOf(m.call, media),
          media: (m.call.media || media) === 'audio' ? 'audio' : 'video',
          message: m,
        });
      else lines.push({ ...base, from: m.from, kind: 'message', text: describe(m), message: m });
    } else if (event.type === 'signaling') {
      const m = event as Schemas['Signaling'];
      const invite = scenes.get(m.inviteID);
      const d = invite ?? readScene(m.data);
      const { text, missed } = signal(m, d, s.me, name);
      if (text)
        lines.push({
          ...base,
          from: m.from ?? m.inviter,
          kind: d.call ? 'call' : 'note',
          text,
          missed: missed ?? false,
          media: d.media ?? 'video',
          ...(missed && m.groupID && invite?.roomID && m.actionType === 5 && !ended.has(m.inviteID)
            ? { late: { roomID: invite.roomID, inviteID: m.inviteID, inviter: m.inviter } }
            : {}),
        });
    } else if (event.type === 'group') {
      const g = event as Schemas['GroupEvent'];
      const text = tips[g.tip]?.(g, name);
      if (text) lines.push({ ...base, from: g.from ?? '', kind: 'note', text });
    }
  }
  return lines;
}

/** Returns a short text of the last entry of a conversation. */
export function preview(s: Session, last: unknown): string {
  if (!last) return '';
  const event = last as { type: string; from?: string };
  if (event.type === 'message')
    return `${event.from === s.me && !(last as Schemas['Message']).call ? 'You: ' : ''}${describe(last as Schemas['Message'])}`;
  if (event.type === 'signaling') {
    const m = last as Schemas['Signaling'];
    const d = readScene(m.data);
    return d.scene === 'mic' ? 'Asked for the microphone' : d.scene ? 'Question to the class' : 'Call';
  }
  const g = last as Schemas['GroupEvent'];
  return tips[g.tip]?.(g, (u) => (u === s.me ? 'You' : s.name(u))) ?? '';
}
