import type { Schemas } from './schema.js';

type Signaling = Schemas['Signaling'];
type Invitation = Schemas['Invitation'];
type Invitee = Schemas['Invitee'];

/** What every invitation callback gives. Facts that the server did not have any more are empty. */
export interface InvitationFacts {
  inviteID: string;
  inviter: string;
  groupID: string;
  /**
   * Whom it is about: all invitees for a new or modified invitation, else those who answered, were cancelled or timed out. The first
   * 100 names; this user is among them exactly when it is about this user.
   */
  inviteeList: string[];
  /** More than inviteeList: every member of the group, or whoever was still open. */
  everyone: boolean;
  /** How many it is about. */
  inviteeCount: number;
  /** The data of this action. */
  data: string;
  /** The data of the invitation, as it is now. */
  invitationData: string;
  /** reject: declined, busy or another text; cancel by the server: answered or left. */
  reason: string;
  /** Nobody is open any more. */
  over: boolean;
}

/** What the invitation callbacks give, with the original's names. */
export interface InvitationEvents {
  /**
   * A new invitation: on the invitees' devices, and on those of a group's other members, who are not in inviteeList. notice: it
   * informs, wants no answer and never rings.
   */
  onReceiveNewInvitation: InvitationFacts & { notice: boolean };
  onInviteeAccepted: InvitationFacts & { invitee: string };
  onInviteeRejected: InvitationFacts & { invitee: string };
  onInvitationCancelled: InvitationFacts;
  onInvitationTimeout: InvitationFacts;
  onInvitationModified: InvitationFacts;
  /** Comes to the inviter when the first device of an invitee alerts its user. */
  onInviteeRinging: InvitationFacts & { invitee: string };
  /** Another device of this user acted: stop ringing. */
  onInvitationHandledByOtherDevice: InvitationFacts & { action: 'accept' | 'reject' | 'cancel' };
}

/** A callback to be called. */
export type Notice = { [K in keyof InvitationEvents]: { name: K; event: InvitationEvents[K] } }[keyof InvitationEvents];

type Mine = Invitee['state'];

interface Entry {
  inviter: string;
  groupID: string;
  data: string;
  invitees: string[]; // the first 100 names
  everyone: boolean;
  count: number;
  online: boolean; // online-only: its events are not stored
  known: boolean; // the facts above came from the server
  asked: boolean; // this user is an invitee
  mine: Mine; // when this user is an invitee
  acted: boolean; // this device has decided
  rang: boolean; // onReceiveNewInvitation was raised
  stale: boolean; // it was over before this device heard of it
  live: boolean; // an event came after the last connect's snapshot
  heard: Set<number>; // versions: one event may come on two timelines
  floor: number; // versions up to this one are known
  told: Set<string>; // invitees whose outcome was raised
  since: number; // outcomes up to this server time were raised before a restart
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

// Long enough for an event that comes on a second timeline.
const maxEnded = 1000;

/** How many invitations a device may name at connect and in listInvitations. */
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
    asked: false,
    mine: 'open',
    acted: false,
    rang: false,
    stale: false,
    live: false,
    heard: new Set(),
    floor: 0,
    told: new Set(),
    since: 0,
    time: 0,
    ...from,
  };
}

/**
 * Ledger knows the invitations that this device holds and turns events into callbacks: no doubles, nobody else's ending for
 * one's own, and no ringing for what was over before it was heard. It does no I/O.
 */
export class Ledger {
  me = '';
  #held = new Map<string, Entry>();
  #ended = new Map<string, Entry>();
  #kept: Record<string, number> = {}; // what held returned before a restart
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

  /** Takes in what held returned before a restart of the program. */
  restore(held: Record<string, number>): void {
    this.#kept = { ...held };
  }

  /** The open invitations that concern this user, with the time of the last event of each: at most 200, the newest. */
  held(): Record<string, number> {
    const mine = [...this.#held]
      .filter(([, e]) => e.known && (e.asked || e.inviter === this.me))
      .map(([id, e]) => [id, e.time] as const);
    return Object.fromEntries([...(this.#connected ? [] : Object.entries(this.#kept)), ...mine].slice(-maxNamed));
  }

  /** The invitations whose answers may have been missed, because their events are not stored. */
  unsure(): string[] {
    return [...this.#held]
      .filter(([, e]) => e.online && (e.asked || e.inviter === this.me))
      .map(([id]) => id)
      .slice(-maxNamed);
  }

  /** Whether the facts of an event's invitation have to be asked for. */
  unknown(m: Signaling): boolean {
    return m.actionType !== INVITE && !this.#find(m.inviteID)?.known;
  }

  /** Takes in the facts of an invitation. What this user did after the server time upTo is still to be raised. */
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
      asked: v.inviter !== this.me && (own !== undefined || e.acted),
      time: Math.max(e.time, e.since),
    });
    if (own && !e.acted && (own.decidedAt ?? Infinity) <= upTo) e.mine = own.state;
    return e;
  }

  /** Notes that nothing is to be known of the invitations of these events, so that it is asked once. */
  forgo(m: Signaling): void {
    const e = this.#find(m.inviteID) ?? entry({ inviter: m.inviter, groupID: m.groupID ?? '' });
    e.known = true;
    if (!this.#find(m.inviteID)) this.#held.set(m.inviteID, e);
  }

  #facts(id: string, e: Entry, m: Partial<Signaling>, inviteeList: string[]): InvitationFacts {
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
    e.rang = true;
    const whole = { everyone: e.everyone, inviteeCount: e.count, data: e.data, over: notice };
    return { name: 'onReceiveNewInvitation', event: { ...this.#facts(id, e, whole, e.invitees), notice } };
  }

  /** Takes in what is open at connect, and the facts of what ended. */
  snapshot(invitations: Invitation[], more: boolean, ended: Invitation[] = []): Notice[] {
    const todo: Notice[] = [];
    for (const v of invitations) {
      const fresh = !this.#find(v.inviteID);
      const e = this.learn(v);
      if (fresh && e.asked && e.mine === 'open') todo.push(this.#rings(v.inviteID, e));
    }
    for (const v of ended) this.learn(v, this.#kept[v.inviteID] ?? 0);
    this.#connected = true;
    for (const [id, e] of [...this.#held]) {
      e.live = false;
      if (!e.online || more || invitations.some((v) => v.inviteID === id) || ended.some((v) => v.inviteID === id))
        continue;
      if (e.mine === 'open' && e.asked)
        todo.push(this.#lose(id)); // nothing is left of it
      else this.#end(id);
    }
    return todo;
  }

  #lose(id: string): Notice {
    const e = this.#find(id)!;
    this.#end(id);
    return { name: 'onInvitationCancelled', event: this.#facts(id, e, { over: true }, [this.me]) };
  }

  /** Ends what this user held open, and the snapshot did not know any more, when too much was missed. */
  reload(invitations: Invitation[], more: boolean): Notice[] {
    if (more) return [];
    return [...this.#held]
      .filter(
        ([id, e]) => e.asked && e.mine === 'open' && !e.stale && !e.live && !invitations.some((v) => v.inviteID === id),
      )
      .map(([id]) => this.#lose(id));
  }

  /** Raises what has become of an invitation meanwhile, as far as it was not raised: of one whose events are not stored or were missed. */
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
      .filter((p) => p.state !== 'open' && !e.told.has(p.userID) && (p.decidedAt ?? Infinity) > e.since)
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
    const told = todo.flatMap((m) => this.#changed(m, e, false));
    e.floor = Math.max(e.floor, v.version);
    e.time = Math.max(e.time, v.serverTime);
    if (v.over) this.#end(v.inviteID);
    return told;
  }

  /** Whether an event is heard for the first time. */
  first(m: Signaling): boolean {
    const e = this.#find(m.inviteID);
    return !e || m.actionType === DIGEST || (m.version > e.floor && !e.heard.has(m.version));
  }

  /** Takes in one event. stale says that the snapshot is newer, so that an invitation of this user that is not in it is over. */
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
      if (m.actionType !== DIGEST) e.heard.add(m.version);
      e.time = Math.max(e.time, m.time);
      e.live ||= !stale;
    }
    if (m.over && !over) this.#end(m.inviteID);
    return todo;
  }

  #digested(m: Signaling, e: Entry): Notice[] {
    if (m.inviter === this.me) return [];
    const tell = (name: 'onInviteeAccepted' | 'onInviteeRejected', users: string[] = []): Notice[] =>
      users
        .filter((u) => u !== this.me && !e.told.has(u))
        .map((invitee) => ({ name, event: { ...this.#facts(m.inviteID, e, {}, [invitee]), invitee } }));
    const todo = [...tell('onInviteeAccepted', m.digest?.accepted), ...tell('onInviteeRejected', m.digest?.rejected)];
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
      asked: m.inviter !== this.me && ((m.everyone ?? false) || invitees.includes(this.me)),
    };
    if (known) {
      if (!known.known) Object.assign(known, facts, { asked: facts.asked || known.asked }); // this device answered before the invite came
      if (
        known.rang ||
        known.acted ||
        known.mine !== 'open' ||
        m.inviter === this.me ||
        stale ||
        this.#ended.has(m.inviteID)
      )
        return [];
      return [this.#rings(m.inviteID, known, m.notice)]; // an event about it overtook it on another timeline
    }
    const e = entry(facts);
    e.stale = stale && e.asked && !m.notice;
    this.#held.set(m.inviteID, e);
    if (m.inviter === this.me || e.stale) return []; // one's own other device called, or it is over
    return [this.#rings(m.inviteID, e, m.notice)];
  }

  #added(m: Signaling, e: Entry | undefined, stale: boolean): Notice[] {
    if (!e) return this.#invited(m, undefined, stale);
    const list = m.inviteeList ?? [];
    const added = list.filter((u) => !e.invitees.includes(u));
    e.count += added.length;
    e.invitees = [...e.invitees, ...added].slice(0, Math.max(100, e.invitees.length));
    if (!list.includes(this.me) || e.mine !== 'open' || (e.asked && e.rang)) return [];
    e.asked = true;
    e.stale = stale;
    return stale ? [] : [this.#rings(m.inviteID, e)];
  }

  #answered(m: Signaling, e: Entry, stale: boolean): Notice[] {
    const todo: Notice[] = [];
    for (const a of m.answers ?? []) {
      const rejected = a.actionType === REJECT;
      const facts = this.#facts(m.inviteID, e, { data: a.data, reason: a.reason }, [a.invitee]);
      e.told.add(a.invitee);
      if (a.invitee === this.me) {
        if (e.acted || (e.mine !== 'open' && e.known)) continue; // this device's own, or told before on another timeline
        e.asked = true;
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

  /** Tells a cancel or timeout to everybody; whom it concerns is in its list. Nobody whose own answer is final is. */
  #closed(m: Signaling, e: Entry): Notice[] {
    const timeout = m.actionType === TIMEOUT;
    const others = (m.inviteeList ?? []).filter((u) => u !== this.me);
    const concerned =
      e.mine === 'open' && (others.length < (m.inviteeList?.length ?? 0) || ((m.everyone ?? false) && e.asked));
    if (concerned) e.mine = timeout ? 'timedOut' : 'cancelled';
    else if (others.length === 0 && !m.everyone && m.inviteeList?.length) return []; // told before
    for (const u of m.inviteeList ?? []) e.told.add(u);
    if (!concerned && !m.over && e.asked && e.mine === 'open') return []; // it still rings here: another's ending must not stop it
    const list = concerned ? (m.inviteeList?.includes(this.me) ? m.inviteeList : [...others, this.me]) : others;
    const facts = this.#facts(m.inviteID, e, m, list);
    if (timeout) return [{ name: 'onInvitationTimeout', event: facts }];
    if (m.inviter === this.me && m.from === this.me)
      return [{ name: 'onInvitationHandledByOtherDevice', event: { ...facts, action: 'cancel' } }];
    return [{ name: 'onInvitationCancelled', event: facts }];
  }

  /** Notes that this device decided for its user; over says that nobody is open any more. */
  acted(id: string, mine: 'accepted' | 'rejected' | 'cancelled', over: boolean, time = 0): void {
    let e = this.#find(id);
    if (!e) this.#held.set(id, (e = entry({})));
    e.acted = true;
    e.asked ||= mine !== 'cancelled';
    e.mine = mine;
    e.told.add(this.me);
    e.time = Math.max(e.time, time);
    if (over) this.#end(id);
  }

  /** Notes an invitation that this device made or, when it was merged, the other user's that it accepted. */
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
