import type { Client } from './client.js';
import { CallControl } from './call-control.js';
import {
  busyData,
  endedOthers,
  endReasonOf,
  endReasonOfRecord,
  ignoreRefusal,
  linkOf,
  partOf,
  partsOf,
  readData,
  saysBusy,
  type CallData,
  type CallState,
  type CallTarget,
  type Media,
  type Part,
  type RunningCall,
} from './call-state.js';
import { heldElsewhere } from './call-tab.js';
import { BeckonError, Code } from './error.js';
import { newID } from './id.js';
import type { InvitationEvents } from './ledger.js';
import { Room, type EnterOptions } from './room.js';

/**
 * Calls places and receives the calls of this user, one at a time, with invitations and a media room. The server
 * decides all races; Calls follows its decisions on each device and tab, and resumes a call after a page reload. Create
 * one per client, before it connects.
 */
export class Calls extends CallControl {
  #over = new Set<string>(); // ended invitations: an incoming call may end while it is looked up
  #offs: (() => void)[] = [];

  constructor(client: Client, room = new Room(client)) {
    super(client, room);
    this.#subscribe();
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
  }

  /**
   * Calls one user, several, or members of a group. It resolves when the server has accepted the call; events follow.
   */
  async call(
    to: CallTarget,
    options: { media?: Media | undefined; timeout?: number | undefined } = {},
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
    if (!(await this.claim(gone))) return this.state;
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
      if (gone()) return this.state; // hung up and cancelled by now
      if (res.merged) {
        // glare: both users called each other, and the calls are merged
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
      void this.enter(res.room);
    } catch (err) {
      if (!gone()) void this.end('failed', err as Error); // also cancels: the invite may have taken effect
      throw err;
    }
    return this.state;
  }

  /** Answers the incoming call. */
  async answer(options: { media?: Media | undefined } = {}): Promise<void> {
    const { phase, inviteID, inviter, roomID } = this.state;
    if (phase !== 'ringing') throw new BeckonError({ code: Code.Over, message: 'no call rings on this device' });
    const gone = this.overCheck();
    const before = { phase, media: this.state.media };
    this.set({ phase: 'connecting', media: options.media ?? before.media });
    if (!(await this.claim(gone, before))) return;
    let entry: EnterOptions['entry'];
    try {
      entry = (await this.client.accept({ inviteID })).room;
    } catch (err) {
      // After the answer of another device of this user an exit would remove that one from the room.
      if (!gone()) void this.end(endReasonOf(err), err as Error, (err as BeckonError).code !== Code.Over);
      throw err;
    }
    if (gone()) {
      // hung up before the response
      await this.client.exitRoom({ roomID }).catch(ignoreRefusal);
      return;
    }
    this.setPart(inviter, 'accepted');
    await this.enter(entry);
  }

  /** Declines the incoming call. */
  async decline(reason = 'declined'): Promise<void> {
    const { phase, inviteID, media } = this.state;
    if (phase !== 'ringing') return;
    void this.end('hangup');
    await this.#reject(inviteID, reason, media);
  }

  #reject(inviteID: string, reason: string, media: Media): Promise<unknown> {
    return this.client
      .reject({ inviteID, reason, ...(reason === 'busy' ? { data: busyData(media) } : {}) })
      .catch(ignoreRefusal);
  }

  /** Ends the call on this device: cancels it before the first answer, else leaves it. */
  async hangup(): Promise<void> {
    if (this.state.phase === 'ringing') return this.decline();
    await this.end('hangup'); // no-op without a call
  }

  /** Invites more users into the call. timeout is in seconds. */
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

  /** Requests to join a call after its invitation has timed out. A device of the inviter admits this one. */
  async join(call: { roomID: string; inviteID: string; inviter: string; media?: Media | undefined }): Promise<void> {
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
    this.joining = true;
    if (!(await this.claim(gone))) return;
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

  /** Closes the camera; in a call of two users, on both sides. */
  async switchToAudio(): Promise<void> {
    this.set({ media: 'audio' });
    await this.room.closeCamera();
    await this.room.sendCustomCmdMsg('beckon.call', new TextEncoder().encode('audio'));
  }

  /**
   * Enters a call that was answered in the notification that opened this page. A call without an answer keeps ringing:
   * opening a link does not answer it.
   */
  async pickUp(inviteID: string): Promise<void> {
    const { invitation: v, mine } = await this.client.getInvitation({ inviteID });
    if (mine?.state === 'open') return;
    if (!v?.roomID || mine?.state !== 'accepted')
      throw new BeckonError({ code: Code.Over, message: 'the call is over', invitation: v });
    // The page may still show this call as ringing.
    if (this.state.phase === 'ringing') await this.end('elsewhere', undefined, false);
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
    if (await this.claim(gone)) await this.enter();
  }

  /** Enters a running call again after leaving it. It rejects with 8010 if the call is over. */
  async rejoin(call: RunningCall): Promise<void> {
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
    if (await this.claim(gone)) await this.enter();
  }

  /** Resumes the call that this tab was in before a reload. It runs by itself on connect. */
  async resume(): Promise<void> {
    if (this.inCall()) return;
    const kept = this.storage.read();
    this.storage.clear();
    if (!kept || kept.deviceID !== this.client.deviceID) return; // a duplicated tab is another device
    const [answer, room] = await Promise.all([
      this.client.getInvitation({ inviteID: kept.inviteID }).catch(() => undefined),
      this.client.getRoom({ roomID: kept.roomID }).catch(() => undefined),
    ]);
    const v = answer?.invitation;
    const mine = v?.inviter === this.client.userID || answer?.mine?.state === 'accepted';
    if (!v || !mine || !room || this.inCall() || (v.over && !room.call)) return; // over by now
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
    if (!(await this.claim(gone, undefined, true).catch(() => false))) return; // another tab took the lock meanwhile
    if (since) this.endUnlessResumed();
    await this.enter();
  }

  /** Hangs up, leaves the room, releases the locks and unsubscribes from the client. */
  async dispose(): Promise<void> {
    this.disposed.abort();
    await this.hangup().catch(ignoreRefusal);
    for (const off of this.#offs) off();
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
  }

  /** Cancels an outgoing call when the page unloads. A reload looks the same as a close. */
  #onPageHide = (): void => {
    if (this.state.phase !== 'calling') return;
    for (const inviteID of this.invites) this.client.callOnLeave('cancel', { inviteID });
    this.storage.clear();
  };

  /** Subscribes to the events of the client and the room. */
  #subscribe(): void {
    const { room } = this;
    const client = this.client;
    const ours = (inviteID: string): boolean => this.state.phase !== 'idle' && this.invites.has(inviteID);
    this.#offs = [
      client.on('onConnected', () => {
        this.acquireRingLock();
        void this.resume();
        void this.checkRoom();
      }),
      client.on('onSignaling', (m) => {
        if (this.state.phase === 'ringing' && m.inviteID === this.state.inviteID) {
          this.set({ deadline: m.deadline ?? this.state.deadline });
          this.cancelled(endedOthers(m, client.userID));
        }
      }),
      client.on('onReceiveNewInvitation', (e) => void this.#incoming(e)),
      client.on('onKickedOffline', () => void this.end('lost')),
      // The media connection does not depend on the server's.
      client.on('onDisconnected', () => {
        if (this.state.phase !== 'connected' || !room.roomID) void this.end('lost');
      }),
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
        // written by the server at the end of a call
        if (call.roomID === this.state.roomID && this.state.phase !== 'ringing')
          void this.end(endReasonOfRecord(call.reason));
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
      room.on('onEnterRoom', ({ roomID }) => {
        const me = client.userID; // the connection is a new one
        if (roomID === this.state.roomID) this.set({ links: { ...this.state.links, [me]: linkOf(room, me) } });
      }),
      room.on('onRemoteUserEnterRoom', ({ userID }) => {
        if (!room.roomID || room.roomID !== this.state.roomID) return;
        clearTimeout(this.timer);
        const { since, people, links } = this.state;
        this.set({
          phase: 'connected',
          since: since || client.now(),
          people: { ...people, [userID]: 'in' },
          links: { ...links, [userID]: linkOf(room, userID) },
        });
      }),
      room.on('onLinkChanged', ({ userID, link }) => {
        if (room.roomID === this.state.roomID) this.set({ links: { ...this.state.links, [userID]: link } });
      }),
      room.on('onRemoteUserLeaveRoom', ({ userID }) => {
        if (room.roomID !== this.state.roomID) return;
        this.setPart(userID, 'left');
        if (room.remoteUsers.length > 0 || this.waiting()) return;
        const { people, links } = this.state;
        const lost = Object.keys(people).length === 1 || links[userID] === 'lost'; // of several, the last one may have left
        this.set({ phase: 'reconnecting', links: lost ? { ...links, [userID]: 'lost' } : links });
        this.endUnlessResumed();
      }),
      room.on('onExitRoom', ({ roomID, reason }) => {
        if (roomID === this.state.roomID) this.roomLeft(reason);
      }),
      room.on('onConnectionRecovery', () => void this.checkRoom()),
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

  /** Notes an ended invitation, up to 1000. */
  #ended(inviteID: string): void {
    this.#over.add(inviteID);
    if (this.#over.size > 1000) this.#over.delete(this.#over.values().next().value as string);
  }

  async #incoming(e: InvitationEvents['onReceiveNewInvitation']): Promise<void> {
    const data = readData(e.data);
    const me = this.client.userID;
    if (!data || e.notice || e.inviter === me || (!e.everyone && !e.inviteeList.includes(me))) return;
    if (data.join && this.joining && e.inviter === this.state.inviter) return this.#acceptAdmission(e.inviteID);
    if (data.join) return this.#admit(e.inviteID, e.inviter, data.join);
    const busy = async (): Promise<void> => {
      if (!this.invites.has(e.inviteID)) await this.#reject(e.inviteID, 'busy', data.media);
    };
    if (this.inCall()) return busy();
    if (await heldElsewhere(`beckon.incall.${me}`)) return; // the tab in a call answers busy
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
        void this.end(endReasonOf(err));
    }
  }

  /**
   * Admits a late invitee to the call: accepts the request and sends a new invitation. Only the device in the call
   * does.
   */
  async #admit(inviteID: string, userID: string, call: string): Promise<void> {
    if (!this.invites.has(call) || this.state.phase === 'ringing') return;
    const { people, roomID, media } = this.state;
    if (!(userID in people)) return void this.client.reject({ inviteID, reason: 'ended' }).catch(ignoreRefusal);
    this.setPart(userID, 'accepted');
    const gone = this.overCheck();
    await this.client.accept({ inviteID }).catch(ignoreRefusal);
    if (gone()) return; // hung up: an invitation would open the room again
    await this.client
      .invite({
        invitee: userID,
        roomID,
        timeout: 10,
        data: JSON.stringify({ call: 1, media, join: call } satisfies CallData),
      })
      .catch(ignoreRefusal);
  }

  /** Accepts the invitation that admits this device to a running call. */
  async #acceptAdmission(inviteID: string): Promise<void> {
    this.joining = false;
    const gone = this.overCheck();
    const res = await this.client.accept({ inviteID }).catch(ignoreRefusal);
    if (!gone()) await this.enter(res?.room);
  }
}

export {
  saysBusy,
  talkTime,
  type CallEvents,
  type CallState,
  type CallTarget,
  type EndReason,
  type Media,
  type Part,
  type Phase,
  type RunningCall,
} from './call-state.js';
export { Room, type LeaveReason, type Link, type Role, type RoomEvents } from './room.js';
