import {
  ConnectionQuality,
  DisconnectReason,
  Room as LiveKitRoom,
  RoomEvent,
  Track,
  type LocalTrackPublication,
  type Participant,
  type RemoteParticipant,
  type RemoteTrack,
  type RemoteTrackPublication,
  type VideoCaptureOptions,
} from 'livekit-client';
import type { Client } from './client.js';
import { Emitter } from './emitter.js';
import { BeckonError, Code } from './error.js';
import type { Response } from './schema.js';

export type Role = 'anchor' | 'audience';

/** Why somebody, or oneself, is no longer in a room. */
export type LeaveReason = 'hangup' | 'left' | 'removed' | 'replaced' | 'dismissed' | 'mediaLost';

/** What happens in a room, under the original's names. */
export interface RoomEvents {
  /** This device is in; ms since enterRoom was called. */
  onEnterRoom: { roomID: string; ms: number };
  /** This device is out. */
  onExitRoom: { roomID: string; reason: LeaveReason };
  /** Somebody is in: who comes, and, right after onEnterRoom, who was there already. */
  onRemoteUserEnterRoom: { userID: string };
  onRemoteUserLeaveRoom: { userID: string };
  /** Somebody's camera can be seen, or no longer. Only changes are told. */
  onUserVideoAvailable: { userID: string; available: boolean };
  /** Somebody's screen can be seen, or no longer. */
  onUserSubStreamAvailable: { userID: string; available: boolean };
  /** Somebody's microphone can be heard, or no longer. It is played without further ado. */
  onUserAudioAvailable: { userID: string; available: boolean };
  /** Who speaks now, from 0 to 100; this user included. */
  onUserVoiceVolume: { volumes: Record<string, number> };
  /** How good the connections are: 0 unknown, 1 excellent, 2 good, 4 poor, 6 lost. */
  onNetworkQuality: { userID: string; quality: number };
  onConnectionLost: { roomID: string };
  onConnectionRecovery: { roomID: string };
  /** What this device may do was changed, by switchRole or by a host. */
  onRoleChanged: { role: Role };
  /** The browser plays no sound before the person touches the page: call resumeAudio from a click. */
  onAudioBlocked: { blocked: boolean };
  /** This device's camera, microphone or screen went on or off. */
  onLocalChanged: { camera: boolean; microphone: boolean; screen: boolean };
  onRecvCustomCmdMsg: { userID: string; topic: string; data: Uint8Array };
}

const every: Record<keyof RoomEvents, 1> = {
  onEnterRoom: 1,
  onExitRoom: 1,
  onRemoteUserEnterRoom: 1,
  onRemoteUserLeaveRoom: 1,
  onUserVideoAvailable: 1,
  onUserSubStreamAvailable: 1,
  onUserAudioAvailable: 1,
  onUserVoiceVolume: 1,
  onNetworkQuality: 1,
  onConnectionLost: 1,
  onConnectionRecovery: 1,
  onRoleChanged: 1,
  onAudioBlocked: 1,
  onLocalChanged: 1,
  onRecvCustomCmdMsg: 1,
};
const roomEvents: ReadonlySet<string> = new Set(Object.keys(every));

type Source = 'camera' | 'screen';

/**
 * Room is the media room that this device is in, one at a time: what TRTC is in the original, over LiveKit.
 * Its server decides who may enter (SPEC 4); a refusal rejects with a BeckonError.
 */
export class Room extends Emitter<RoomEvents> {
  #client: Client;
  #room: LiveKitRoom | undefined;
  #id = '';
  #granted: Role = 'audience';
  #turn = 0; // grows with each entering and leaving, so that what was awaited for one does not act on the next
  #in = false; // onEnterRoom was told; nothing is told of others before
  #video = new Map<string, boolean>();
  #sounds = new Map<RemoteTrack, HTMLMediaElement>();

  constructor(client: Client) {
    super(roomEvents);
    this.#client = client;
  }

  /** The room that this device is in, or "". */
  get roomID(): string {
    return this.#id;
  }

  /** What this device does in the room now. */
  get role(): Role {
    return this.#room?.localParticipant.permissions?.canPublish ? 'anchor' : 'audience';
  }

  /** What switchRole may ask for. */
  get granted(): Role {
    return this.#granted;
  }

  /** The others who are in. */
  get remoteUsers(): string[] {
    return [...(this.#room?.remoteParticipants.keys() ?? [])];
  }

  get camera(): boolean {
    return this.#room?.localParticipant.isCameraEnabled ?? false;
  }
  get microphone(): boolean {
    return this.#room?.localParticipant.isMicrophoneEnabled ?? false;
  }
  get screen(): boolean {
    return this.#room?.localParticipant.isScreenShareEnabled ?? false;
  }

  /** LiveKit's own room, for what is not here. */
  get livekit(): LiveKitRoom | undefined {
    return this.#room;
  }

  /** Enters a room: of an invitation, or group_<id> for the standing room of a group. In another room, it leaves that first. */
  async enterRoom(options: { roomID: string; role?: Role }): Promise<Response<'enterRoom'>> {
    const began = performance.now();
    const turn = ++this.#turn;
    const must = (): void => {
      if (this.#turn !== turn)
        throw new BeckonError({ code: Code.Disconnected, message: 'the room was left while it was entered' });
    };
    await this.#leave('hangup');
    must();
    const way = await this.#client.enterRoom(options);
    must();
    const room = new LiveKitRoom({ adaptiveStream: true, dynacast: true, disconnectOnPageLeave: false });
    this.#room = room;
    this.#id = options.roomID;
    this.#granted = way.granted as Role;
    this.#listen(room);
    try {
      await room.connect(way.url || this.#client.server.replace(/^http/, 'ws'), way.token, {
        websocketTimeout: 5000,
        peerConnectionTimeout: 8000,
        maxRetries: 0,
      });
    } catch (err) {
      this.#forget(room);
      must();
      throw new BeckonError(
        { code: Code.NoMedia, message: `the media server cannot be reached: ${(err as Error).message}` },
        err,
      );
    }
    if (this.#room !== room) {
      await room.disconnect();
      must();
      throw new BeckonError({ code: Code.NoMedia, message: 'the media server closed the connection' });
    }
    this.#in = true;
    this.emit('onEnterRoom', { roomID: this.#id, ms: Math.round(performance.now() - began) });
    for (const p of room.remoteParticipants.values()) this.#entered(p); // LiveKit announces only who comes later
    return way;
  }

  /** Leaves for good, also while it is being entered. The server hears of it, and ends a call between two people at once. */
  async exitRoom(): Promise<void> {
    this.#turn++;
    const roomID = this.#id;
    if (!roomID) return;
    const told = this.#client.exitRoom({ roomID }).catch(() => undefined); // who is gone is gone, told or not
    await this.#leave('hangup');
    await told;
  }

  async #leave(reason: LeaveReason): Promise<void> {
    const room = this.#room;
    if (!room) return;
    const was = this.#in;
    const roomID = this.#forget(room);
    await room.disconnect();
    if (was) this.emit('onExitRoom', { roomID, reason });
  }

  /** Lets go of a room, so that nothing of it is told any more. */
  #forget(room: LiveKitRoom): string {
    const roomID = this.#id;
    room.removeAllListeners();
    if (this.#room !== room) return '';
    globalThis.removeEventListener?.('pagehide', this.#pageGoes);
    for (const el of this.#sounds.values()) el.remove();
    this.#sounds.clear();
    this.#video.clear();
    this.#room = undefined;
    this.#in = false;
    this.#id = '';
    return roomID;
  }

  #must(): LiveKitRoom {
    if (!this.#room)
      throw new BeckonError({ code: 6017, field: 'roomID', message: 'this device is in no room; enter one first' });
    return this.#room;
  }

  /** Opens the camera and shows it to the others. */
  async openCamera(options?: VideoCaptureOptions): Promise<void> {
    await this.#must().localParticipant.setCameraEnabled(true, options);
  }

  async closeCamera(): Promise<void> {
    await this.#must().localParticipant.setCameraEnabled(false);
  }

  /** Opens the microphone. */
  async startLocalAudio(): Promise<void> {
    await this.#must().localParticipant.setMicrophoneEnabled(true);
  }

  /** Silences the microphone, or opens it again. */
  async muteLocalAudio(mute: boolean): Promise<void> {
    await this.#must().localParticipant.setMicrophoneEnabled(!mute);
  }

  /** Silences the microphone and gives it back. */
  async stopLocalAudio(): Promise<void> {
    const { localParticipant } = this.#must();
    const track = localParticipant.getTrackPublication(Track.Source.Microphone)?.track;
    if (track) await localParticipant.unpublishTrack(track);
  }

  async startScreenShare(): Promise<void> {
    await this.#must().localParticipant.setScreenShareEnabled(true, { audio: true });
  }

  async stopScreenShare(): Promise<void> {
    await this.#must().localParticipant.setScreenShareEnabled(false);
  }

  /** Shows this device's own picture in an element. */
  startLocalPreview(element: HTMLVideoElement, source: Source = 'camera'): boolean {
    const track = this.#publication(this.#must().localParticipant, source)?.track;
    track?.attach(element);
    return track !== undefined;
  }

  /** Shows somebody's picture in an element. It answers whether there is one; else wait for onUserVideoAvailable. */
  startRemoteView(userID: string, element: HTMLVideoElement, source: Source = 'camera'): boolean {
    const who = this.#room?.remoteParticipants.get(userID);
    const publication = who && (this.#publication(who, source) as RemoteTrackPublication | undefined);
    publication?.setSubscribed(true);
    publication?.track?.attach(element);
    return publication?.track !== undefined;
  }

  /** Shows it no longer, and lets the server send it no longer when no element is given. */
  stopRemoteView(userID: string, element?: HTMLVideoElement, source: Source = 'camera'): void {
    const who = this.#room?.remoteParticipants.get(userID);
    const publication = who && (this.#publication(who, source) as RemoteTrackPublication | undefined);
    if (element) publication?.track?.detach(element);
    else publication?.setSubscribed(false);
  }

  /** Speaks, or only listens, within what was granted. */
  async switchRole(role: Role): Promise<void> {
    const room = this.#must();
    const changed =
      this.role === role
        ? undefined
        : new Promise<void>((resolve) => {
            room.once(RoomEvent.ParticipantPermissionsChanged, () => resolve());
          });
    await this.#client.switchRole({ roomID: this.#id, role });
    if (role === 'anchor') this.#granted = 'anchor';
    await Promise.race([changed, new Promise((resolve) => setTimeout(resolve, 3000))]);
  }

  /** Sends a few bytes to everybody in the room. Nothing of it is kept. */
  async sendCustomCmdMsg(topic: string, data: Uint8Array, reliable = true): Promise<void> {
    await this.#must().localParticipant.publishData(data as Uint8Array<ArrayBuffer>, { reliable, topic });
  }

  /** Plays sound after the browser has refused to; call it from a click. */
  async resumeAudio(): Promise<void> {
    await this.#room?.startAudio();
  }

  #publication(p: Participant, source: Source): LocalTrackPublication | RemoteTrackPublication | undefined {
    return p.getTrackPublication(source === 'camera' ? Track.Source.Camera : Track.Source.ScreenShare) as
      LocalTrackPublication | RemoteTrackPublication | undefined;
  }

  #entered(p: RemoteParticipant): void {
    if (!this.#in) return;
    this.emit('onRemoteUserEnterRoom', { userID: p.identity });
    for (const pub of p.trackPublications.values()) this.#look(p, pub as RemoteTrackPublication);
  }

  /** Tells of a track of somebody's, if it changed whether it is there. */
  #look(p: RemoteParticipant, pub: RemoteTrackPublication): void {
    const names = {
      [Track.Source.Camera]: 'onUserVideoAvailable',
      [Track.Source.ScreenShare]: 'onUserSubStreamAvailable',
      [Track.Source.Microphone]: 'onUserAudioAvailable',
    } as const;
    const name = names[pub.source as keyof typeof names];
    if (!name || !this.#in) return;
    const available = pub.track !== undefined && !pub.isMuted && p.trackPublications.has(pub.trackSid);
    const key = `${p.identity}/${pub.source}`;
    if ((this.#video.get(key) ?? false) === available) return;
    this.#video.set(key, available);
    this.emit(name, { userID: p.identity, available });
  }

  /** The page goes, perhaps only to be loaded anew: the others see it at once, and nobody has hung up. */
  #pageGoes = (): void => {
    const room = this.#room;
    if (!room) return;
    this.#forget(room);
    void room.disconnect();
  };

  #listen(room: LiveKitRoom): void {
    globalThis.addEventListener?.('pagehide', this.#pageGoes);
    const look = (pub: RemoteTrackPublication, p: RemoteParticipant): void => this.#look(p, pub);
    const local = (): void =>
      this.emit('onLocalChanged', { camera: this.camera, microphone: this.microphone, screen: this.screen });
    room
      .on(RoomEvent.ParticipantConnected, (p) => this.#entered(p))
      .on(RoomEvent.ParticipantDisconnected, (p) => {
        if (!this.#in) return;
        for (const pub of p.trackPublications.values()) this.#look(p, pub as RemoteTrackPublication);
        for (const key of this.#video.keys()) if (key.startsWith(`${p.identity}/`)) this.#video.delete(key);
        this.emit('onRemoteUserLeaveRoom', { userID: p.identity });
      })
      .on(RoomEvent.TrackSubscribed, (track, pub, p) => {
        if (track.kind === Track.Kind.Audio) {
          const el = track.attach();
          el.hidden = true;
          document.body.append(el);
          this.#sounds.set(track, el);
        }
        look(pub, p);
      })
      .on(RoomEvent.TrackUnsubscribed, (track, pub, p) => {
        track.detach();
        this.#sounds.get(track)?.remove();
        this.#sounds.delete(track);
        look(pub, p);
      })
      .on(RoomEvent.TrackUnpublished, look)
      .on(RoomEvent.TrackMuted, (pub, p) =>
        p.isLocal ? local() : look(pub as RemoteTrackPublication, p as RemoteParticipant),
      )
      .on(RoomEvent.TrackUnmuted, (pub, p) =>
        p.isLocal ? local() : look(pub as RemoteTrackPublication, p as RemoteParticipant),
      )
      .on(RoomEvent.LocalTrackPublished, local)
      .on(RoomEvent.LocalTrackUnpublished, local)
      .on(RoomEvent.ActiveSpeakersChanged, (list) =>
        this.emit('onUserVoiceVolume', {
          volumes: Object.fromEntries(list.map((p) => [p.identity, Math.round(p.audioLevel * 100)])),
        }),
      )
      .on(RoomEvent.ConnectionQualityChanged, (q, p) =>
        this.emit('onNetworkQuality', { userID: p.identity, quality: qualityOf(q) }),
      )
      .on(RoomEvent.Reconnecting, () => this.emit('onConnectionLost', { roomID: this.#id }))
      .on(RoomEvent.Reconnected, () => this.emit('onConnectionRecovery', { roomID: this.#id }))
      .on(RoomEvent.AudioPlaybackStatusChanged, () => this.emit('onAudioBlocked', { blocked: !room.canPlaybackAudio }))
      .on(RoomEvent.ParticipantPermissionsChanged, (_, p) => {
        if (p.isLocal) this.emit('onRoleChanged', { role: this.role });
      })
      .on(RoomEvent.DataReceived, (data, p, _, topic) =>
        this.emit('onRecvCustomCmdMsg', { userID: p?.identity ?? '', topic: topic ?? '', data }),
      )
      .on(RoomEvent.Disconnected, (reason) => {
        if (this.#room !== room) return;
        const was = this.#in; // else enterRoom says why it failed
        const roomID = this.#forget(room);
        if (was) this.emit('onExitRoom', { roomID, reason: reasonOf(reason) });
      });
  }
}

function qualityOf(q: ConnectionQuality): number {
  switch (q) {
    case ConnectionQuality.Excellent:
      return 1;
    case ConnectionQuality.Good:
      return 2;
    case ConnectionQuality.Poor:
      return 4;
    case ConnectionQuality.Lost:
      return 6;
    default:
      return 0;
  }
}

function reasonOf(r: DisconnectReason | undefined): LeaveReason {
  switch (r) {
    case DisconnectReason.CLIENT_INITIATED:
      return 'hangup';
    case DisconnectReason.DUPLICATE_IDENTITY:
      return 'replaced';
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'removed';
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return 'dismissed';
    default:
      return 'mediaLost';
  }
}
