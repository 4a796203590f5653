import type { Schemas } from './schema.js';

type Signaling = Schemas['Signaling'];
type Invitation = Schemas['Invitation'];

/** What the invitation callbacks are told, with the original's names and arguments. */
export interface InvitationEvents {
  /** Rings: on the invitees' devices, and on those of a group's other members, who are not in inviteeList. It is empty when everyone in the group is invited. */
  onReceiveNewInvitation: { inviteID: string; inviter: string; groupID: string; inviteeList: string[]; data: string };
  onInviteeAccepted: { inviteID: string; invitee: string; data: string };
  onInviteeRejected: { inviteID: string; invitee: string; data: string; reason: string };
  /** Comes to invitees who were still open, and to the other members of a group. */
  onInvitationCancelled: { inviteID: string; inviter: string; data: string; reason: string };
  onInvitationTimeout: { inviteID: string; inviteeList: string[] };
  onInvitationModified: { inviteID: string; data: string };
  /** Comes to the inviter when the first device of an invitee alerts its person. */
  onInviteeRinging: { inviteID: string; invitee: string };
  /** Another device of this user acted: stop ringing. */
  onInvitationHandledByOtherDevice: { inviteID: string; action: 'accept' | 'reject' | 'cancel' };
}

/** A callback to be called. */
export type Notice = { [K in keyof InvitationEvents]: { name: K; event: InvitationEvents[K] } }[keyof InvitationEvents];

type Mine = 'open' | 'accepted' | 'rejected' | 'cancelled' | 'timedOut';

interface Entry {
  inviter: string;
  groupID: string;
  invitees: string[];
  everyone: boolean;
  online: boolean; // online-only: its end is not kept for who was away
  mine: Mine; // when this user is an invitee
  acted: boolean; // this device has decided
  stale: boolean; // it was over before this device heard of it
  live: boolean; // heard of after the last connect's snapshot
  heard: Set<number>; // versions: one event may come on two timelines
}

// The action types of PROTOCOL.md section 3.
const INVITE = 1, CANCEL = 2, REJECT = 4, TIMEOUT = 5, MODIFY = 6, ADD = 7, RINGING = 8, DIGEST = 9;

// Long enough for an event that comes on a second timeline.
const maxEnded = 1000;

function entry(from: Partial<Entry>): Entry {
  return { inviter: '', groupID: '', invitees: [], everyone: false, online: false, mine: 'open', acted: false, stale: false, live: false, heard: new Set(), ...from };
}

/**
 * Ledger knows the invitations that this device holds and turns events into callbacks: no doubles, nobody else's ending for
 * one's own, and no ringing for what was over before it was heard. It does no I/O.
 */
export class Ledger {
  me = '';
  #held = new Map<string, Entry>();
  #ended = new Map<string, Entry>();

  #find(id: string): Entry | undefined {
    return this.#held.get(id) ?? this.#ended.get(id);
  }

  #end(id: string): void {
    const e = this.#held.get(id);
    if (!e) return;
    this.#held.delete(id);
    this.#ended.set(id, e);
    if (this.#ended.size > maxEnded) this.#ended.delete(this.#ended.keys().next().value as string);
  }

  #isInvitee(e: Entry): boolean {
    return e.inviter !== this.me && (e.everyone || e.invitees.includes(this.me));
  }

  #rings(id: string, inviter: string, groupID: string, inviteeList: string[], data: string): Notice {
    return { name: 'onReceiveNewInvitation', event: { inviteID: id, inviter, groupID, inviteeList, data } };
  }

  /** Takes in what is open at connect. */
  snapshot(invitations: Invitation[], more: boolean): Notice[] {
    const todo: Notice[] = [];
    for (const v of invitations) {
      if (this.#find(v.inviteID)) continue;
      const e = entry({ inviter: v.inviter, groupID: v.groupID ?? '', everyone: v.everyone ?? false, online: v.onlineUserOnly ?? false, invitees: (v.invitees ?? []).map((p) => p.userID) });
      this.#held.set(v.inviteID, e);
      if (this.#isInvitee(e)) todo.push(this.#rings(v.inviteID, e.inviter, e.groupID, e.invitees, v.data));
    }
    for (const [id, e] of [...this.#held]) {
      e.live = false;
      const open = invitations.some((v) => v.inviteID === id);
      if (e.online && !more && !open && e.mine === 'open' && this.#isInvitee(e)) todo.push(this.#lose(id)); // its end was never kept for us
    }
    return todo;
  }

  #lose(id: string): Notice {
    const inviter = this.#held.get(id)?.inviter ?? '';
    this.#end(id);
    return { name: 'onInvitationCancelled', event: { inviteID: id, inviter, data: '', reason: '' } };
  }

  /** Ends what this user held open, and the snapshot did not know any more, when too much was missed. */
  reload(invitations: Invitation[], more: boolean): Notice[] {
    if (more) return [];
    return [...this.#held].filter(([id, e]) => this.#isInvitee(e) && e.mine === 'open' && !e.stale && !e.live && !invitations.some((v) => v.inviteID === id))
      .map(([id]) => this.#lose(id));
  }

  /** Whether an event is heard for the first time. */
  first(m: Signaling): boolean {
    const e = this.#find(m.inviteID);
    return !e || m.actionType === DIGEST || !e.heard.has(m.version);
  }

  /** Takes in one event. stale says that the snapshot is newer, so that an invitation of this user that is not in it is over. */
  event(m: Signaling, stale: boolean): Notice[] {
    if (!this.first(m)) return [];
    if (m.actionType === DIGEST) return this.#digested(m);
    if (m.everyone && m.inviter === this.me && m.actionType !== INVITE) return []; // for onlookers; the inviter hears all names
    const over = this.#ended.has(m.inviteID);
    let e = this.#find(m.inviteID);
    let todo: Notice[];
    if (m.actionType === INVITE) {
      todo = this.#invited(m, e, stale);
    } else if (m.actionType === ADD) {
      todo = this.#added(m, e, stale);
    } else {
      if (!e) this.#held.set(m.inviteID, (e = entry({ inviter: m.inviter, groupID: m.groupID ?? '' })));
      todo = this.#changed(m, e);
    }
    e = this.#find(m.inviteID);
    e?.heard.add(m.version);
    if (e) e.live ||= !stale;
    if (m.over && !over) this.#end(m.inviteID);
    return todo;
  }

  #digested(m: Signaling): Notice[] {
    if (m.inviter === this.me) return [];
    const tell = (name: 'onInviteeAccepted' | 'onInviteeRejected', users: string[] = []): Notice[] =>
      users.filter((u) => u !== this.me).map((invitee) => name === 'onInviteeAccepted'
        ? { name, event: { inviteID: m.inviteID, invitee, data: '' } } : { name, event: { inviteID: m.inviteID, invitee, data: '', reason: '' } });
    const todo = [...tell('onInviteeAccepted', m.digest?.accepted), ...tell('onInviteeRejected', m.digest?.rejected)];
    if (m.over) this.#end(m.inviteID);
    return todo;
  }

  #changed(m: Signaling, e: Entry): Notice[] {
    if (m.answers?.length) return this.#answered(m, e);
    if (e.stale) return [];
    switch (m.actionType) {
      case CANCEL:
      case TIMEOUT:
        return this.#closed(m, e);
      case MODIFY:
        return [{ name: 'onInvitationModified', event: { inviteID: m.inviteID, data: m.data ?? '' } }];
      case RINGING:
        return (m.inviteeList ?? []).map((invitee) => ({ name: 'onInviteeRinging', event: { inviteID: m.inviteID, invitee } }));
    }
    return [];
  }

  #invited(m: Signaling, known: Entry | undefined, stale: boolean): Notice[] {
    const facts = { inviter: m.inviter, groupID: m.groupID ?? '', invitees: m.inviteeList ?? [], everyone: m.everyone ?? false, online: m.onlineUserOnly ?? false };
    if (known) {
      if (!known.inviter) Object.assign(known, facts); // this device answered before the invite came
      return [];
    }
    const e = entry(facts);
    e.stale = stale && this.#isInvitee(e);
    this.#held.set(m.inviteID, e);
    if (m.inviter === this.me || e.stale) return []; // one's own other device called, or it is over
    return [this.#rings(m.inviteID, m.inviter, e.groupID, e.invitees, m.data ?? '')];
  }

  #added(m: Signaling, e: Entry | undefined, stale: boolean): Notice[] {
    if (!e) return this.#invited(m, undefined, stale);
    const asked = this.#isInvitee(e);
    e.invitees = [...e.invitees, ...(m.inviteeList ?? [])];
    if (asked || !this.#isInvitee(e)) return [];
    return [this.#rings(m.inviteID, m.inviter, m.groupID ?? '', m.inviteeList ?? [], m.data ?? '')];
  }

  #answered(m: Signaling, e: Entry): Notice[] {
    const todo: Notice[] = [];
    for (const a of m.answers ?? []) {
      const rejected = a.actionType === REJECT;
      if (a.invitee === this.me) {
        if (e.acted || e.mine !== 'open') continue; // this device's own, or told before on another timeline
        e.mine = rejected ? 'rejected' : 'accepted';
        todo.push({ name: 'onInvitationHandledByOtherDevice', event: { inviteID: m.inviteID, action: rejected ? 'reject' : 'accept' } });
      }
      if (e.stale) continue;
      const event = { inviteID: m.inviteID, invitee: a.invitee, data: a.data ?? '' };
      todo.push(rejected ? { name: 'onInviteeRejected', event: { ...event, reason: a.reason ?? '' } } : { name: 'onInviteeAccepted', event });
    }
    return todo;
  }

  /** Tells a cancel or timeout to those whom it concerns. Nobody whose own answer is final takes another's ending for their own. */
  #closed(m: Signaling, e: Entry): Notice[] {
    const list = m.inviteeList ?? [];
    const timeout = m.actionType === TIMEOUT;
    const concerned = list.includes(this.me) || ((m.everyone ?? false) && this.#isInvitee(e) && e.mine === 'open');
    if (concerned) {
      if (e.mine !== 'open') return [];
      e.mine = timeout ? 'timedOut' : 'cancelled';
    }
    if (timeout) return this.#isInvitee(e) && !concerned ? [] : [{ name: 'onInvitationTimeout', event: { inviteID: m.inviteID, inviteeList: list } }];
    if (m.inviter === this.me && m.from === this.me) return [{ name: 'onInvitationHandledByOtherDevice', event: { inviteID: m.inviteID, action: 'cancel' } }];
    if ((m.inviter === this.me && m.reason !== 'left') || (this.#isInvitee(e) && !concerned)) return []; // the inviter knows of the limit from the accept that reached it
    return [{ name: 'onInvitationCancelled', event: { inviteID: m.inviteID, inviter: m.inviter, data: m.data ?? '', reason: m.reason ?? '' } }];
  }

  /** Notes that this device decided for its user; over says that nobody is open any more. */
  acted(id: string, mine: 'accepted' | 'rejected' | 'cancelled', over: boolean): void {
    let e = this.#find(id);
    if (!e) this.#held.set(id, (e = entry({})));
    e.acted = true;
    e.mine = mine;
    if (over) this.#end(id);
  }

  /** Notes an invitation that this device made or, when it was merged, the other person's that it accepted. */
  opened(v: Invitation, invitees: string[], merged: boolean): void {
    if (merged) {
      this.acted(v.inviteID, 'accepted', true);
    } else if (!this.#find(v.inviteID) && !v.over) {
      this.#held.set(v.inviteID, entry({ inviter: v.inviter, groupID: v.groupID ?? '', invitees, everyone: v.everyone ?? false, live: true }));
    }
  }
}
