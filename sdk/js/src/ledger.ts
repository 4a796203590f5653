import type { Loose } from './requests.js';
import type { Schemas } from './schema.js';

type Signaling = Schemas['Signaling'];
type Invitation = Schemas['Invitation'];
type Invitee = Schemas['Invitee'];

/** The fields common to all invitation callbacks. Facts that the server no longer has are empty. */
export interface InvitationFacts {
  inviteID: string;
  inviter: string;
  groupID: string;
  /**
   * The affected users, the first 100: all invitees of a new or modified invitation, else those that answered, were
   * cancelled or timed out. This user is listed if and only if affected.
   */
  inviteeList: string[];
  /** Not limited to inviteeList: all members of the group, or all open invitees. */
  everyone: boolean;
  /** The number of affected users. */
  inviteeCount: number;
  /** The data of this action. */
  data: string;
  /** The current data of the invitation. */
  invitationData: string;
  /** reject: declined, busy or another text; cancel by the server: answered or left. */
  reason: string;
  /** No invitee is open. */
  over: boolean;
}

/** The invitation callbacks, under the original's names. */
export interface InvitationEvents {
  /**
   * A new invitation, on the devices of invitees and of other members of the group, which are not in inviteeList.
   * notice: for information only; it takes no answer and does not ring.
   */
  onReceiveNewInvitation: InvitationFacts & { notice: boolean };
  onInviteeAccepted: InvitationFacts & { invitee: string };
  onInviteeRejected: InvitationFacts & { invitee: string };
  onInvitationCancelled: InvitationFacts;
  onInvitationTimeout: InvitationFacts;
  onInvitationModified: InvitationFacts;
  /** Raised for the inviter when the first device of an invitee rings. */
  onInviteeRinging: InvitationFacts & { invitee: string };
  /** Another device of this user acted: stop ringing. */
  onInvitationHandledByOtherDevice: InvitationFacts & { action: 'accept' | 'reject' | 'cancel' };
}

/** A callback to raise. */
export type Notice = { [K in keyof InvitationEvents]: { name: K; event: InvitationEvents[K] } }[keyof InvitationEvents];

type Mine = Invitee['state'];
type Facts = Partial<Pick<InvitationFacts, 'data' | 'reason' | 'everyone' | 'inviteeCount' | 'over'>>;

interface Entry {
  inviter: string;
  groupID: string;
  data: string;
  invitees: string[]; // the first 100 names
  everyone: boolean;
  count: number;
  online: boolean; // online-only: its events are not stored
  known: boolean; // the fields above are known from the server
  isInvitee: boolean; // this user is an invitee
  mine: Mine; // state of this user as an invitee
  acted: boolean; // this device has answered or cancelled
  announced: boolean; // onReceiveNewInvitation was raised
  stale: boolean; // over before this device received it
  live: boolean; // has an event newer than the snapshot of the last connect
  seen: Set<number>; // versions: an event may arrive on two timelines
  floor: number; // versions up to this one are processed
  raised: Set<string>; // invitees with a raised outcome
  since: number; // server time in milliseconds: earlier outcomes were raised before a restart
  time: number; // of the last event
}

// The action types of PROTOCOL.md section 3.
const INVITE = 1,
  CANCEL = 2,
  ACCEPT = 3,
  REJECT = 4,
  TIMEOUT = 5,
  MODIFY = 6,
  ADD = 7,
  RINGING = 8,
  DIGEST = 9;

// Ended invitations to keep, for late copies of events on a second timeline.
const maxEnded = 1000;

/** Limit of invitation IDs at connect and in listInvitations. */
export const maxNamed = 200;

function entry(from: Partial<Entry>): Entry {
  return {
    inviter: '',
    groupID: '',
    data: '',
    invitees: [],
    everyone: false,
    count: 0,
    online: false,
    known: false,
    isInvitee: false,
    mine: 'open',
    acted: false,
    announced: false,
    stale: false,
    live: false,
    seen: new Set(),
    floor: 0,
    raised: new Set(),
    since: 0,
    time: 0,
    ...from,
  };
}

/**
 * Ledger tracks the invitations of this device and turns events into callbacks. It drops duplicates, keeps the end for
 * other invitees apart from the own, and does not ring for invitations that are over. It does no I/O.
 */
export class Ledger {
  me = '';
  #held = new Map<string, Entry>();
  #ended = new Map<string, Entry>();
  #kept: Record<string, number> = {}; // the result of held() before a restart
  #connected = false;

  #find(id: string): Entry | undefined {
    return this.#held.get(id) ?? this.#ended.get(id);
  }

  #end(id: string): void {
    const e = this.#held.get(id);
    if (!e) return;
    this.#held.delete(id);
    delete this.#kept[id];
    this.#ended.set(id, e);
    if (this.#ended.size > maxEnded) this.#ended.delete(this.#ended.keys().next().value as string);
  }

  /** Restores the result of held() from before a restart. */
  restore(held: Record<string, number>): void {
    this.#kept = { ...held };
  }

  /** Returns the newest open invitations of this user, at most 200, with the server time of the last event of each. */
  held(): Record<string, number> {
    const mine = [...this.#held]
      .filter(([, e]) => e.known && (e.isInvitee || e.inviter === this.me))
      .map(([id, e]) => [id, e.time] as const);
    return Object.fromEntries([...(this.#connected ? [] : Object.entries(this.#kept)), ...mine].slice(-maxNamed));
  }

  /**
   * Returns the online-only invitations of this user, at most 200: their events are not stored and may have been
   * missed.
   */
  uncertain(): string[] {
    return [...this.#held]
      .filter(([, e]) => e.online && (e.isInvitee || e.inviter === this.me))
      .map(([id]) => id)
      .slice(-maxNamed);
  }

  /** Reports whether the facts of an event's invitation have to be fetched. */
  unknown(m: Signaling): boolean {
    return m.actionType !== INVITE && !this.#find(m.inviteID)?.known;
  }

  /**
   * Adds the facts of an invitation. Actions of this user after the server time upTo are not applied: their events
   * follow.
   */
  learn(v: Invitation, upTo = Infinity): Entry {
    let e = this.#find(v.inviteID);
    if (!e) this.#held.set(v.inviteID, (e = entry({ since: this.#kept[v.inviteID] ?? 0 })));
    if (e.known) return e;
    const own = v.invitees?.find((p) => p.userID === this.me);
    const invitees = v.inviteeList ?? (v.invitees ?? []).map((p) => p.userID);
    Object.assign(e, {
      inviter: v.inviter,
      groupID: v.groupID ?? '',
      data: v.data,
      invitees,
      everyone: v.everyone ?? false,
      online: v.onlineUserOnly ?? false,
      known: true,
      count:
        v.inviteeCount ??
        Math.max(
          invitees.length,
          Object.values(v.counts ?? {}).reduce((a, b) => a + b, 0),
        ),
      isInvitee: v.inviter !== this.me && (own !== undefined || e.acted),
      time: Math.max(e.time, e.since),
    });
    if (own && !e.acted && (own.decidedAt ?? Infinity) <= upTo) e.mine = own.state;
    return e;
  }

  /** Marks the invitation of an event as known without facts, so that they are fetched only once. */
  assumeKnown(m: Signaling): void {
    const e = this.#find(m.inviteID) ?? entry({ inviter: m.inviter, groupID: m.groupID ?? '' });
    e.known = true;
    if (!this.#find(m.inviteID)) this.#held.set(m.inviteID, e);
  }

  #facts(id: string, e: Entry, m: Loose<Facts>, inviteeList: string[]): InvitationFacts {
    return {
      inviteID: id,
      inviter: e.inviter,
      groupID: e.groupID,
      inviteeList,
      everyone: m.everyone ?? false,
      inviteeCount: Math.max(m.inviteeCount ?? 0, inviteeList.length),
      data: m.data ?? '',
      invitationData: e.data,
      reason: m.reason ?? '',
      over: m.over ?? false,
    };
  }

  #rings(id: string, e: Entry, notice = false): Notice {
    e.announced = true;
    const whole = { everyone: e.everyone, inviteeCount: e.count, data: e.data, over: notice };
    return { name: 'onReceiveNewInvitation', event: { ...this.#facts(id, e, whole, e.invitees), notice } };
  }

  /** Applies the snapshot of a connect: open invitations, and facts of ended ones. */
  snapshot(invitations: Invitation[], more: boolean, ended: Invitation[] = []): Notice[] {
    const todo: Notice[] = [];
    for (const v of invitations) {
      const fresh = !this.#find(v.inviteID);
      const e = this.learn(v);
      if (fresh && e.isInvitee && e.mine === 'open') todo.push(this.#rings(v.inviteID, e));
    }
    for (const v of ended) this.learn(v, this.#kept[v.inviteID] ?? 0);
    this.#connected = true;
    for (const [id, e] of [...this.#held]) {
      e.live = false;
      if (!e.online || more || invitations.some((v) => v.inviteID === id) || ended.some((v) => v.inviteID === id))
        continue;
      if (e.mine === 'open' && e.isInvitee)
        todo.push(this.#lost(id)); // gone, and no event follows
      else this.#end(id);
    }
    return todo;
  }

  #lost(id: string): Notice {
    const e = this.#find(id)!;
    this.#end(id);
    return { name: 'onInvitationCancelled', event: this.#facts(id, e, { over: true }, [this.me]) };
  }

  /** After too many missed events: ends open invitations of this user that are missing in the snapshot. */
  reload(invitations: Invitation[], more: boolean): Notice[] {
    if (more) return [];
    return [...this.#held]
      .filter(
        ([id, e]) =>
          e.isInvitee && e.mine === 'open' && !e.stale && !e.live && !invitations.some((v) => v.inviteID === id),
      )
      .map(([id]) => this.#lost(id));
  }

  /** Raises the outcomes of an invitation that were not raised yet, if its events are not stored or were missed. */
  catchUp(v: Invitation): Notice[] {
    if (this.#ended.has(v.inviteID)) return [];
    const e = this.learn(v, this.#kept[v.inviteID] ?? 0);
    const common = {
      inviteID: v.inviteID,
      inviter: e.inviter,
      groupID: e.groupID,
      version: v.version,
      time: v.serverTime,
    };
    const todo: Signaling[] = [];
    if (v.data !== e.data) todo.push({ ...common, actionType: MODIFY, data: v.data } as Signaling);
    const news = (v.invitees ?? [])
      .filter((p) => p.state !== 'open' && !e.raised.has(p.userID) && (p.decidedAt ?? Infinity) > e.since)
      .sort((a, b) => (a.decidedAt ?? 0) - (b.decidedAt ?? 0));
    for (const p of news) {
      const last = todo.at(-1);
      const actionType =
        p.state === 'accepted' ? ACCEPT : p.state === 'rejected' ? REJECT : p.state === 'cancelled' ? CANCEL : TIMEOUT;
      if (actionType === ACCEPT || actionType === REJECT) {
        todo.push({
          ...common,
          actionType,
          answers: [{ invitee: p.userID, actionType, data: p.data, reason: p.reason, time: p.decidedAt ?? 0 }],
        } as Signaling);
      } else if (last?.actionType === actionType && last.data === p.data && last.reason === p.reason) {
        last.inviteeList!.push(p.userID);
      } else {
        todo.push({
          ...common,
          actionType,
          inviteeList: [p.userID],
          data: p.data,
          reason: p.reason,
          from: p.reason ? '' : e.inviter,
        } as Signaling);
      }
    }
    const last = todo.at(-1);
    if (last && v.over) last.over = true;
    const raised = todo.flatMap((m) => this.#changed(m, e, false));
    e.floor = Math.max(e.floor, v.version);
    e.time = Math.max(e.time, v.serverTime);
    if (v.over) this.#end(v.inviteID);
    return raised;
  }

  /** Reports whether an event is new. */
  first(m: Signaling): boolean {
    const e = this.#find(m.inviteID);
    return !e || m.actionType === DIGEST || (m.version > e.floor && !e.seen.has(m.version));
  }

  /** Applies an event. stale: the snapshot is newer, so an invitation of this user that is missing in it is over. */
  event(m: Signaling, stale: boolean): Notice[] {
    if (!this.first(m)) return [];
    const over = this.#ended.has(m.inviteID);
    let e = this.#find(m.inviteID);
    let todo: Notice[];
    if (m.actionType === INVITE) {
      todo = this.#invited(m, e, stale);
    } else if (m.actionType === ADD) {
      todo = this.#added(m, e, stale);
    } else {
      if (!e) this.#held.set(m.inviteID, (e = entry({ inviter: m.inviter, groupID: m.groupID ?? '' })));
      todo = m.actionType === DIGEST ? this.#digested(m, e) : this.#changed(m, e, stale);
    }
    e = this.#find(m.inviteID);
    if (e) {
      if (m.actionType !== DIGEST) e.seen.add(m.version);
      e.time = Math.max(e.time, m.time);
      e.live ||= !stale;
    }
    if (m.over && !over) this.#end(m.inviteID);
    return todo;
  }

  #digested(m: Signaling, e: Entry): Notice[] {
    if (m.inviter === this.me) return [];
    const raise = (name: 'onInviteeAccepted' | 'onInviteeRejected', users: string[] = []): Notice[] =>
      users
        .filter((u) => u !== this.me && !e.raised.has(u))
        .map((invitee) => ({ name, event: { ...this.#facts(m.inviteID, e, {}, [invitee]), invitee } }));
    const todo = [...raise('onInviteeAccepted', m.digest?.accepted), ...raise('onInviteeRejected', m.digest?.rejected)];
    const last = todo.at(-1);
    if (last) last.event.over = m.over ?? false;
    return todo;
  }

  #changed(m: Signaling, e: Entry, stale: boolean): Notice[] {
    if (m.answers?.length) return this.#answered(m, e, stale);
    if (m.actionType === MODIFY) e.data = m.data ?? '';
    if (e.stale && stale) return [];
    switch (m.actionType) {
      case CANCEL:
      case TIMEOUT:
        return this.#closed(m, e);
      case MODIFY:
        return [
          {
            name: 'onInvitationModified',
            event: this.#facts(m.inviteID, e, { everyone: e.everyone, inviteeCount: e.count, ...m }, e.invitees),
          },
        ];
      case RINGING:
        return (m.inviteeList ?? []).map((invitee) => ({
          name: 'onInviteeRinging',
          event: { ...this.#facts(m.inviteID, e, {}, [invitee]), invitee },
        }));
    }
    return [];
  }

  #invited(m: Signaling, known: Entry | undefined, stale: boolean): Notice[] {
    const invitees = m.inviteeList ?? [];
    const facts = {
      inviter: m.inviter,
      groupID: m.groupID ?? '',
      data: m.data ?? '',
      invitees,
      everyone: m.everyone ?? false,
      count: Math.max(m.inviteeCount ?? 0, invitees.length),
      online: m.onlineUserOnly ?? false,
      known: true,
      isInvitee: m.inviter !== this.me && ((m.everyone ?? false) || invitees.includes(this.me)),
    };
    if (known) {
      // Not known: this device answered before it received the invite.
      if (!known.known) Object.assign(known, facts, { isInvitee: facts.isInvitee || known.isInvitee });
      if (
        known.announced ||
        known.acted ||
        known.mine !== 'open' ||
        m.inviter === this.me ||
        stale ||
        this.#ended.has(m.inviteID)
      )
        return [];
      return [this.#rings(m.inviteID, known, m.notice)]; // overtaken by an event on another timeline
    }
    const e = entry(facts);
    e.stale = stale && e.isInvitee && !m.notice;
    this.#held.set(m.inviteID, e);
    if (m.inviter === this.me || e.stale) return []; // from another device of this user, or over
    return [this.#rings(m.inviteID, e, m.notice)];
  }

  #added(m: Signaling, e: Entry | undefined, stale: boolean): Notice[] {
    if (!e) return this.#invited(m, undefined, stale);
    const list = m.inviteeList ?? [];
    const added = list.filter((u) => !e.invitees.includes(u));
    e.count += added.length;
    e.invitees = [...e.invitees, ...added].slice(0, Math.max(100, e.invitees.length));
    if (!list.includes(this.me) || e.mine !== 'open' || (e.isInvitee && e.announced)) return [];
    e.isInvitee = true;
    e.stale = stale;
    return stale ? [] : [this.#rings(m.inviteID, e)];
  }

  #answered(m: Signaling, e: Entry, stale: boolean): Notice[] {
    const todo: Notice[] = [];
    for (const a of m.answers ?? []) {
      const rejected = a.actionType === REJECT;
      const facts = this.#facts(m.inviteID, e, { data: a.data, reason: a.reason }, [a.invitee]);
      e.raised.add(a.invitee);
      if (a.invitee === this.me) {
        if (e.acted || (e.mine !== 'open' && e.known)) continue; // own action, or raised on another timeline
        e.isInvitee = true;
        e.mine = rejected ? 'rejected' : 'accepted';
        todo.push({
          name: 'onInvitationHandledByOtherDevice',
          event: { ...facts, action: rejected ? 'reject' : 'accept' },
        });
      }
      if (e.stale && stale) continue;
      todo.push({
        name: rejected ? 'onInviteeRejected' : 'onInviteeAccepted',
        event: { ...facts, invitee: a.invitee },
      });
    }
    const last = todo.at(-1);
    if (last) last.event.over = m.over ?? false;
    return todo;
  }

  /** Raises a cancel or timeout. The list has the affected users; users with a final answer are not affected. */
  #closed(m: Signaling, e: Entry): Notice[] {
    const timeout = m.actionType === TIMEOUT;
    const others = (m.inviteeList ?? []).filter((u) => u !== this.me);
    const concerned =
      e.mine === 'open' && (others.length < (m.inviteeList?.length ?? 0) || ((m.everyone ?? false) && e.isInvitee));
    if (concerned) e.mine = timeout ? 'timedOut' : 'cancelled';
    else if (others.length === 0 && !m.everyone && m.inviteeList?.length) return []; // raised already
    for (const u of m.inviteeList ?? []) e.raised.add(u);
    // Still ringing here: the end for other invitees must not stop it.
    if (!concerned && !m.over && e.isInvitee && e.mine === 'open') return [];
    const list = concerned ? (m.inviteeList?.includes(this.me) ? m.inviteeList : [...others, this.me]) : others;
    const facts = this.#facts(m.inviteID, e, m, list);
    if (timeout) return [{ name: 'onInvitationTimeout', event: facts }];
    if (m.inviter === this.me && m.from === this.me)
      return [{ name: 'onInvitationHandledByOtherDevice', event: { ...facts, action: 'cancel' } }];
    return [{ name: 'onInvitationCancelled', event: facts }];
  }

  /** Records an action of this device. over: no invitee is open any more. */
  acted(id: string, mine: 'accepted' | 'rejected' | 'cancelled', over: boolean, time = 0): void {
    let e = this.#find(id);
    if (!e) this.#held.set(id, (e = entry({})));
    e.acted = true;
    e.isInvitee ||= mine !== 'cancelled';
    e.mine = mine;
    e.raised.add(this.me);
    e.time = Math.max(e.time, time);
    if (over) this.#end(id);
  }

  /** Records an invitation of this device or, if merged, that of the other user as accepted. */
  opened(v: Invitation, invitees: string[], merged: boolean): void {
    if (merged) {
      this.learn(v);
      this.acted(v.inviteID, 'accepted', v.over, v.serverTime);
    } else if (!this.#find(v.inviteID) && !v.over) {
      const e = this.learn({ ...v, inviteeList: v.inviteeList ?? invitees });
      e.live = true;
      e.time = v.serverTime;
    }
  }
}
