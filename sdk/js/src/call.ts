import type { Client } from './client.js';
import { CallControl } from './call-control.js';
import {
  busyData,
  endedOthers,
  lostTo,
  over,
  partOf,
  partsOf,
  readData,
  saysBusy,
  type CallData,
  type CallState,
  type Media,
  type Part,
} from './call-state.js';
import { heldElsewhere } from './call-tab.js';
import { BeckonError, Code } from './error.js';
import { newID } from './id.js';
import type { InvitationEvents } from './ledger.js';
import { Room } from './room.js';

/**
 * Calls is the telephone of this user: one call at a time over invitations and a room. The server decides every race; this keeps
 * step with it on each device and tab, and survives a reload in mid-call. Make one per client, before it connects.
 */
export class Calls extends CallControl {
  #over = new Set<string>(); // invitations that ended, perhaps while they were looked at
  #offs: (() => void)[] = [];

  constructor(client: Client, room = new Room(client)) {
    super(client, room);
    this.#follow();
    globalThis.addEventListener?.('pagehide', this.#pageGoes);
  }

  /** Calls one person, several, or members of a group. It resolves when the server has the call; what happens then comes as events. */
  async call(
    to: { userID?: string; userIDs?: string[]; groupID?: string },
    options: { media?: Media; timeout?: number } = {},
  ): Promise<CallState> {
    const users = to.userID ? [to.userID] : (to.userIDs ?? []);
    if (users.length === 0)
      throw new BeckonError({ code: 6017, field: 'userID', message: 'nobody is called: give userID or userIDs' });
    const media = options.media ?? 'video';
    const [inviteID, roomID] = [newID(), newID()];
    const gone = this.begin({
      phase: 'calling',
      inviteID,
      roomID,
      inviter: this.client.userID,
      groupID: to.groupID ?? '',
      media,
      people: Object.fromEntries(users.map((u) => [u, 'invited'])),
    });
    await this.occupy();
    if (gone()) return this.state;
    const common = {
      inviteID,
      roomID,
      timeout: options.timeout ?? 30,
      minRing: 5,
      data: JSON.stringify({ call: 1, media } satisfies CallData),
    };
    try {
      const res = to.groupID
        ? await this.client.inviteInGroup({ groupID: to.groupID, inviteeList: users, ...common })
        : users.length === 1
          ? await this.client.invite({ invitee: users[0]!, mergeGlare: true, ...common })
          : await this.client.invite({ inviteeList: users, ...common });
      if (gone()) return this.state; // hung up meanwhile, and cancelled
      if (res.merged) {
        // both called each other: it is one call now
        this.invites.add(res.inviteID);
        this.set({
          phase: 'connecting',
          inviteID: res.inviteID,
          inviter: res.invitation?.inviter ?? '',
          roomID: res.invitation?.roomID ?? '',
        });
      } else {
        this.set({ deadline: res.invitation?.deadline ?? 0 });
      }
      void this.enter();
    } catch (err) {
      if (!gone()) void this.end('failed', err as Error); // which also cancels: the invite may have taken effect
      throw err;
    }
    return this.state;
  }

  /** Answers the call that rings. */
  async answer(options: { media?: Media } = {}): Promise<void> {
    const { phase, inviteID, inviter, roomID } = this.state;
    if (phase !== 'ringing') throw new BeckonError({ code: Code.Over, message: 'no call rings on this device' });
    const gone = this.same();
    this.set({ phase: 'connecting', media: options.media ?? this.state.media });
    await this.occupy();
    if (gone()) return;
    try {
      await this.client.accept({ inviteID });
    } catch (err) {
      if (!gone()) void this.end(lostTo(err), err as Error);
      throw err;
    }
    if (gone()) {
      // hung up while the answer was on its way
      await this.client.exitRoom({ roomID }).catch(over);
      return;
    }
    this.setPart(inviter, 'accepted');
    await this.enter();
  }

  /** Refuses the call that rings. */
  async decline(reason = 'declined'): Promise<void> {
    const { phase, inviteID, media } = this.state;
    if (phase !== 'ringing') return;
    void this.end('hangup');
    await this.#reject(inviteID, reason, media);
  }

  #reject(inviteID: string, reason: string, media: Media): Promise<unknown> {
    return this.client
      .reject({ inviteID, reason, ...(reason === 'busy' ? { data: busyData(media) } : {}) })
      .catch(over);
  }

  /** Ends the call here: cancels while nobody has answered, else leaves. */
  async hangup(): Promise<void> {
    if (this.state.phase === 'ringing') return this.decline();
    await this.end('hangup'); // of nothing, when there is no call
  }

  /** Invites more people into the running call. */
  async inviteMore(userIDs: string[], timeout = 30): Promise<void> {
    const { roomID, groupID, media, phase } = this.state;
    if (phase === 'idle' || phase === 'ringing')
      throw new BeckonError({ code: Code.Over, message: 'this device is in no call' });
    const inviteID = newID();
    this.invites.add(inviteID);
    this.set({
      people: { ...this.state.people, ...Object.fromEntries(userIDs.map((u) => [u, 'invited' as const])) },
    });
    const common = {
      inviteID,
      roomID,
      timeout,
      minRing: 5,
      inviteeList: userIDs,
      data: JSON.stringify({ call: 1, media } satisfies CallData),
    };
    await (groupID ? this.client.inviteInGroup({ groupID, ...common }) : this.client.invite(common));
  }

  /** Asks to be let into a call that one was invited to and did not answer in time. Its caller's device lets one in. */
  async join(call: { roomID: string; inviteID: string; inviter: string; media?: Media }): Promise<void> {
    const media = call.media ?? 'video';
    const inviteID = newID();
    const gone = this.begin({
      phase: 'connecting',
      inviteID,
      roomID: call.roomID,
      inviter: call.inviter,
      media,
      people: { [call.inviter]: 'invited' },
    });
    this.asked = true;
    await this.occupy();
    if (gone()) return;
    try {
      await this.client.invite({
        inviteID,
        invitee: call.inviter,
        timeout: 10,
        data: JSON.stringify({ call: 1, media, join: call.inviteID } satisfies CallData),
      });
    } catch (err) {
      if (!gone()) void this.end('failed', err as Error);
      throw err;
    }
  }

  /** Turns the cameras off; between two people, of both. */
  async switchToAudio(): Promise<void> {
    this.set({ media: 'audio' });
    await this.room.closeCamera();
    await this.room.sendCustomCmdMsg('beckon.call', new TextEncoder().encode('audio'));
  }

  /**
   * Enters a call that was answered without this page, in the notification that opened it. A call that rings still goes on
   * ringing: opening a link does not answer it.
   */
  async pickUp(inviteID: string): Promise<void> {
    const { invitation: v, mine } = await this.client.getInvitation({ inviteID });
    if (mine?.state === 'open') return;
    if (!v?.roomID || mine?.state !== 'accepted')
      throw new BeckonError({ code: Code.Over, message: 'the call is over', invitation: v });
    if (this.state.phase === 'ringing') await this.end('elsewhere', undefined, false); // it was this one, as the page knew it before
    const people = partsOf(v);
    people[v.inviter] = 'accepted';
    delete people[this.client.userID];
    const gone = this.begin({
      phase: 'connecting',
      inviteID,
      roomID: v.roomID,
      inviter: v.inviter,
      groupID: v.groupID ?? '',
      media: readData(v.data ?? '')?.media ?? 'video',
      people,
      deadline: v.deadline ?? 0,
    });
    await this.occupy();
    if (!gone()) await this.enter();
  }

  /** Comes back into a call that this user left and that goes on. It rejects with 8010 when the call is over. */
  async rejoin(call: { roomID?: string; callID?: string; media?: Media }): Promise<void> {
    const client = this.client;
    const roomID =
      call.roomID ?? (call.callID ? (await client.getCall({ callID: call.callID })).call?.roomID : undefined);
    const c = roomID ? (await client.getRoom({ roomID })).call : undefined;
    if (!roomID || !c || c.ended) throw new BeckonError({ code: Code.Over, message: 'the call is over' });
    const inviteID = c.inviteID ?? '';
    const answer = inviteID ? await client.getInvitation({ inviteID }).catch(() => undefined) : undefined;
    const people: Record<string, Part> = Object.fromEntries([
      ...(answer?.invitation?.invitees ?? []).map((p) => [p.userID, partOf(p)] as const),
      ...(c.people ?? []).map((p) => [p.userID, p.left ? 'left' : 'accepted'] as const),
    ]);
    delete people[client.userID];
    const media =
      call.media ?? (c.media as Media | undefined) ?? readData(answer?.invitation?.data ?? '')?.media ?? 'video';
    const gone = this.begin({
      phase: 'connecting',
      inviteID,
      roomID,
      inviter: c.inviter ?? '',
      groupID: c.groupID ?? '',
      media,
      people,
    });
    await this.occupy();
    if (!gone()) await this.enter();
  }

  /** Goes on with the call that this tab was in before a reload. It happens by itself with the first connection. */
  async resume(): Promise<void> {
    const kept = this.store.read();
    this.store.clear();
    if (!kept || kept.deviceID !== this.client.deviceID || this.inCall()) return; // a copied tab is another device
    const [answer, room] = await Promise.all([
      this.client.getInvitation({ inviteID: kept.inviteID }).catch(() => undefined),
      this.client.getRoom({ roomID: kept.roomID }).catch(() => undefined),
    ]);
    const v = answer?.invitation;
    const mine = v?.inviter === this.client.userID || answer?.mine?.state === 'accepted';
    if (!v || !mine || !room || this.inCall() || (v.over && !room.call)) return; // it ended meanwhile
    const people = partsOf(v);
    if (v.inviter !== this.client.userID) people[v.inviter] = 'accepted';
    delete people[this.client.userID];
    const since = room.call?.began ?? 0;
    const gone = this.begin({
      phase: since ? 'reconnecting' : 'calling',
      inviteID: v.inviteID,
      roomID: kept.roomID,
      inviter: v.inviter,
      groupID: v.groupID ?? '',
      media: kept.media,
      people,
      deadline: v.deadline ?? 0,
      since,
    });
    for (const id of kept.invites) this.invites.add(id);
    await this.occupy();
    if (gone()) return;
    if (since) this.giveUpLater();
    await this.enter();
  }

  /** Lets go of everything: the room, the locks, the client. A call under way is hung up. */
  async dispose(): Promise<void> {
    this.disposed.abort();
    await this.hangup().catch(over);
    for (const off of this.#offs) off();
    globalThis.removeEventListener?.('pagehide', this.#pageGoes);
  }

  /** The page goes while it calls: nobody is there who could be answered. Whether it is closed or loaded again cannot be known. */
  #pageGoes = (): void => {
    if (this.state.phase !== 'calling') return;
    for (const inviteID of this.invites) this.client.callOnLeave('cancel', { inviteID });
    this.store.clear();
  };

  /** Follows what the client and the room tell. */
  #follow(): void {
    const { room } = this;
    const client = this.client;
    const ours = (inviteID: string): boolean => this.state.phase !== 'idle' && this.invites.has(inviteID);
    this.#offs = [
      client.on('onConnected', () => {
        this.lead();
        void this.resume();
      }),
      client.on('onSignaling', (m) => {
        if (this.state.phase === 'ringing' && m.inviteID === this.state.inviteID) {
          this.set({ deadline: m.deadline ?? this.state.deadline });
          this.cancelled(endedOthers(m, client.userID));
        }
      }),
      client.on('onReceiveNewInvitation', (e) => void this.#incoming(e)),
      client.on('onKickedOffline', () => void this.end('lost')),
      client.on('onDisconnected', () => {
        if (this.state.phase !== 'connected' || !room.roomID) void this.end('lost');
      }), // the room goes on without the server's link
      client.on('onInviteeRinging', (e) => {
        if (ours(e.inviteID) && this.state.people[e.invitee] === 'invited') this.setPart(e.invitee, 'ringing');
      }),
      client.on('onInviteeAccepted', (e) => {
        if (ours(e.inviteID)) this.accepted(e.invitee);
      }),
      client.on('onInviteeRejected', (e) => {
        if (ours(e.inviteID)) this.refused([e.invitee], saysBusy(e.reason, e.data) ? 'busy' : 'declined');
      }),
      client.on('onInvitationTimeout', (e) => {
        if (e.inviteeList.includes(client.userID)) this.#ended(e.inviteID);
        if (ours(e.inviteID)) this.timedOut(e.inviteeList);
      }),
      client.on('onInvitationCancelled', (e) => {
        const mine = e.inviteeList.includes(client.userID);
        if (mine) this.#ended(e.inviteID);
        if (!ours(e.inviteID)) return;
        if (mine && this.state.phase === 'ringing') void this.end('cancelled');
        else this.cancelled(e.inviteeList);
      }),
      client.on('onInvitationHandledByOtherDevice', (e) => {
        if (e.action !== 'cancel' || e.over) this.#ended(e.inviteID);
        if (!ours(e.inviteID)) return;
        if (this.state.phase === 'ringing' || (e.action === 'cancel' && e.over)) void this.end('elsewhere');
        else if (e.action === 'cancel') this.cancelled(e.inviteeList);
      }),
      client.on('onCallRecord', ({ call }) => {
        // the server's word that the call is over
        if (call.roomID === this.state.roomID && this.state.phase !== 'ringing') void this.end('remoteHangup');
      }),
      client.on('onRoomRoleChanged', (e) => {
        if (
          e.userID === client.userID &&
          e.roomID === this.state.roomID &&
          e.role === 'none' &&
          this.state.phase !== 'ringing'
        )
          void this.end('remoteHangup');
      }),
      room.on('onRemoteUserEnterRoom', ({ userID }) => {
        if (!room.roomID || room.roomID !== this.state.roomID) return;
        clearTimeout(this.timer);
        this.set({ phase: 'connected', since: this.state.since || client.now() });
        this.setPart(userID, 'in');
      }),
      room.on('onRemoteUserLeaveRoom', ({ userID }) => {
        if (room.roomID !== this.state.roomID) return;
        this.setPart(userID, 'left');
        if (room.remoteUsers.length > 0 || this.waiting()) return;
        this.set({ phase: 'reconnecting' });
        this.giveUpLater();
      }),
      room.on('onExitRoom', ({ roomID, reason }) => {
        if (roomID === this.state.roomID) this.roomLeft(reason);
      }),
      room.on('onRecvCustomCmdMsg', ({ topic, data }) => {
        if (
          topic !== 'beckon.call' ||
          new TextDecoder().decode(data) !== 'audio' ||
          Object.keys(this.state.people).length > 1
        )
          return;
        this.set({ media: 'audio' });
        void room.closeCamera();
      }),
    ];
  }

  /** Remembers for a while what is over. */
  #ended(inviteID: string): void {
    this.#over.add(inviteID);
    if (this.#over.size > 1000) this.#over.delete(this.#over.values().next().value as string);
  }

  async #incoming(e: InvitationEvents['onReceiveNewInvitation']): Promise<void> {
    const data = readData(e.data);
    const me = this.client.userID;
    if (!data || e.notice || e.inviter === me || (!e.everyone && !e.inviteeList.includes(me))) return;
    if (data.join && this.asked && e.inviter === this.state.inviter) return this.#comeIn(e.inviteID);
    if (data.join) return this.#letIn(e.inviteID, e.inviter, data.join);
    const busy = async (): Promise<void> => {
      if (!this.invites.has(e.inviteID)) await this.#reject(e.inviteID, 'busy', data.media);
    };
    if (this.inCall()) return busy();
    if (await heldElsewhere(`beckon.incall.${me}`)) return; // the tab that is in a call says busy
    const { invitation, mine } = await this.client
      .getInvitation({ inviteID: e.inviteID })
      .catch(() => ({ invitation: undefined, mine: undefined }));
    if (mine?.state !== 'open' || !invitation || this.#over.has(e.inviteID)) return;
    if (this.inCall()) return busy();
    const others = e.inviteeList.filter((u) => u !== me).map((u) => [u, 'invited'] as const);
    const gone = this.begin({
      phase: 'ringing',
      inviteID: e.inviteID,
      roomID: invitation.roomID ?? '',
      inviter: e.inviter,
      groupID: e.groupID,
      media: data.media,
      people: { ...Object.fromEntries(others), [e.inviter]: 'invited' },
      deadline: mine.deadline ?? invitation.deadline ?? 0,
    });
    this.emit('onIncomingCall', this.state);
    this.ringUntil();
    try {
      const { deadline } = await this.client.ring({ inviteID: e.inviteID });
      if (gone() || this.state.phase !== 'ringing') return;
      if (deadline) this.set({ deadline });
      this.ringUntil();
    } catch (err) {
      if (!gone() && this.state.phase === 'ringing' && err instanceof BeckonError && err.code === Code.Over)
        void this.end(lostTo(err));
    }
  }

  /** Lets somebody into the call who was invited to it and comes late. Only the device that is in that call answers. */
  async #letIn(inviteID: string, who: string, call: string): Promise<void> {
    if (!this.invites.has(call) || this.state.phase === 'ringing') return;
    const { people, roomID, media } = this.state;
    if (!(who in people)) return void this.client.reject({ inviteID, reason: 'ended' }).catch(over);
    this.setPart(who, 'accepted');
    const gone = this.same();
    await this.client.accept({ inviteID }).catch(over);
    if (gone()) return; // hung up meanwhile: an invitation would open the room again
    await this.client
      .invite({
        invitee: who,
        roomID,
        timeout: 10,
        data: JSON.stringify({ call: 1, media, join: call } satisfies CallData),
      })
      .catch(over);
  }

  /** Takes the invitation of whoever lets this device in late. */
  async #comeIn(inviteID: string): Promise<void> {
    this.asked = false;
    const gone = this.same();
    await this.client.accept({ inviteID }).catch(over);
    if (!gone()) await this.enter();
  }
}

export {
  saysBusy,
  type CallEvents,
  type CallState,
  type EndReason,
  type Media,
  type Part,
  type Phase,
} from './call-state.js';
export { Room, type LeaveReason, type Role, type RoomEvents } from './room.js';
