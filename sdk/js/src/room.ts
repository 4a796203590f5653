import type {
  Room as LiveKitRoom,
  LocalParticipant,
  LocalTrack,
  LocalTrackPublication,
  Participant,
  RemoteParticipant,
  RemoteTrack,
  RemoteTrackPublication,
  VideoCaptureOptions,
} from 'livekit-client';
import type { Client } from './client.js';
import { Emitter } from './emitter.js';
import { BeckonError, Code } from './error.js';
import type { Links, Link } from './link.js';
import type { Pictures, Paused } from './pictures.js';
import { roomEvents, type LeaveReason, type Role, type RoomEvents } from './room-events.js';
import type { Response } from './schema.js';

export type { Link } from './link.js';
export type { Paused } from './pictures.js';
export type { LeaveReason, Role, RoomEvents } from './room-events.js';

type Source = 'camera' | 'screen';

/** LiveKit and the modules that use it. It is set by the first enterRoom, because LiveKit is large. */
let media: typeof import('./media.js');

/** The options of enterRoom. */
export interface EnterOptions {
  roomID: string;
  role?: Role | undefined;
  /** Return to a room: one that has ended is not opened again, it rejects with 8013. */
  rejoin?: boolean | undefined;
  /** The entry that the response of invite or accept has: enterRoom is not called. */
  entry?: Response<'enterRoom'> | undefined;
}

/**
 * Room is the media room of this device, one at a time. It has the role of TRTC in the original, and uses LiveKit.
 * The server decides about admission; a refusal rejects with a BeckonError.
 */
export class Room extends Emitter<RoomEvents> {
  #client: Client;
  #room: LiveKitRoom | undefined;
  #id = '';
  #granted: Role = 'audience';
  #generation = 0; // incremented by each enter and exit, so that continuations of earlier ones stop
  #in = false; // onEnterRoom was raised; no other event is raised before
  #others = new Set<string>(); // users for which onRemoteUserEnterRoom was raised last
  #links: Links | undefined;
  #pictures: Pictures | undefined;
  #lost = false; // onConnectionLost was raised, and no recovery since
  #sent = new Set<LocalTrack>(); // tracks of this device in this room
  #wanted = new Set<'camera' | 'microphone'>(); // open by request of the user
  #available = new Map<string, boolean>();
  #sounds = new Map<RemoteTrack, HTMLMediaElement>();

  constructor(client: Client) {
    super(roomEvents);
    this.#client = client;
  }

  /** The current room, or "". */
  get roomID(): string {
    return this.#id;
  }

  /** The current role. */
  get role(): Role {
    return this.#room?.localParticipant.permissions?.canPublish ? 'anchor' : 'audience';
  }

  /** The highest role permitted to switchRole. */
  get granted(): Role {
    return this.#granted;
  }

  /** The other users in the room, with media connected. */
  get remoteUsers(): string[] {
    return [...this.#others];
  }

  /** The state of a user's connection to the room, this user's included. */
  link(userID: string): Link {
    return this.#links?.of(userID) ?? 'good';
  }

  /** The directions in which pictures are paused, because the connection of this device is too slow for them. */
  get paused(): Paused {
    return this.#pictures?.paused ?? { sent: false, received: [] };
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

  /** The LiveKit room, for features without a method here. */
  get livekit(): LiveKitRoom | undefined {
    return this.#room;
  }

  /** Loads the code for audio and video, as while a call rings. enterRoom does so too. */
  async preload(): Promise<void> {
    try {
      media = await import('./media.js');
    } catch (err) {
      const message = `the code for audio and video could not be loaded: ${(err as Error).message}`;
      throw new BeckonError({ code: Code.NoMedia, message, retryAfter: 1000 }, err);
    }
  }

  /**
   * Enters a room: that of an invitation, or group_<ID>, the permanent room of a group. It leaves the current room
   * first.
   *
   * It resolves when audio and video are connected. If they are not within 8 s, it rejects with 7013, once: the message
   * names the ports that the network blocks. retryAfter is set if the media server did not answer at all.
   */
  async enterRoom(options: EnterOptions): Promise<Response<'enterRoom'>> {
    const began = performance.now();
    const generation = ++this.#generation;
    const checkCurrent = (): void => {
      if (this.#generation !== generation)
        throw new BeckonError({ code: Code.Disconnected, message: 'the room was left while it was entered' });
    };
    await this.#leave('hangup');
    checkCurrent();
    const { roomID, role, rejoin } = options;
    const loaded = this.preload();
    loaded.catch(() => undefined); // thrown below
    const entry =
      options.entry ??
      (await this.#client.enterRoom({ roomID, ...(role ? { role } : {}), ...(rejoin ? { rejoin } : {}) }));
    await loaded;
    checkCurrent();
    const room = new media.Room({ adaptiveStream: true, dynacast: true, disconnectOnPageLeave: false });
    this.#room = room;
    this.#id = roomID;
    this.#granted = entry.granted as Role;
    this.#listen(room);
    try {
      await media.connect(room, entry.url || this.#client.server.replace(/^http/, 'ws'), entry);
    } catch (err) {
      this.#forget(room);
      void room.disconnect();
      checkCurrent();
      throw err;
    }
    if (this.#room !== room) {
      await room.disconnect();
      checkCurrent();
      throw new BeckonError({ code: Code.NoMedia, message: 'the media server closed the connection' });
    }
    this.#in = true;
    this.emit('onEnterRoom', { roomID: this.#id, ms: Math.round(performance.now() - began) });
    this.#links = new media.Links(
      room,
      (userID, link) => this.#linkChanged(userID, link),
      () => this.#client.checkConnection(),
    );
    this.#links.start();
    this.#pictures = new media.Pictures(
      room,
      () => this.#lost,
      (paused) => this.emit('onPicturesPaused', paused),
    );
    this.#pictures.start();
    for (const p of room.remoteParticipants.values()) this.#enters(p); // LiveKit has no event for them
    return entry;
  }

  /**
   * Leaves the room, also while entering it. The server ends a call of two users at once. The reason mediaLost is for the
   * record of the call: audio and video do not reach this device.
   */
  async exitRoom(reason: 'hangup' | 'mediaLost' = 'hangup'): Promise<void> {
    this.#generation++;
    const roomID = this.#id;
    if (!roomID) return;
    const reported = this.#client.exitRoom({ roomID, reason }).catch(() => undefined); // left even if it fails
    await this.#leave('hangup');
    await reported;
  }

  async #leave(reason: LeaveReason): Promise<void> {
    const room = this.#room;
    if (!room) return;
    const entered = this.#in;
    const roomID = this.#forget(room);
    await room.disconnect();
    if (entered) this.emit('onExitRoom', { roomID, reason });
  }

  /** Detaches from a room: it raises no more events. */
  #forget(room: LiveKitRoom): string {
    const roomID = this.#id;
    room.removeAllListeners();
    if (this.#room !== room) return '';
    globalThis.removeEventListener?.('pagehide', this.#onPageHide);
    // A reconnect in progress may still open the camera and the microphone again.
    for (const track of this.#sent) track.on(media.TrackEvent.Restarted, () => track.stop()).stop();
    this.#sent.clear();
    this.#wanted.clear();
    for (const el of this.#sounds.values()) el.remove();
    this.#sounds.clear();
    this.#available.clear();
    this.#others.clear();
    this.#links?.stop();
    this.#links = undefined;
    this.#pictures?.stop();
    this.#pictures = undefined;
    this.#room = undefined;
    this.#in = false;
    this.#lost = false;
    this.#id = '';
    return roomID;
  }

  #requireRoom(): LiveKitRoom {
    if (!this.#room)
      throw new BeckonError({ code: 6017, field: 'roomID', message: 'this device is in no room; enter one first' });
    return this.#room;
  }

  /** Opens and publishes the camera, also while it is paused. */
  async openCamera(options?: VideoCaptureOptions): Promise<void> {
    this.#pictures?.resume();
    await this.#publish('camera', (p) => p.setCameraEnabled(true, options));
  }

  async closeCamera(): Promise<void> {
    this.#wanted.delete('camera');
    await this.#requireRoom().localParticipant.setCameraEnabled(false);
  }

  /** Opens and publishes the microphone. */
  async startLocalAudio(): Promise<void> {
    await this.#publish('microphone', (p) => p.setMicrophoneEnabled(true));
  }

  async #publish(source: 'camera' | 'microphone', publish: (p: LocalParticipant) => Promise<unknown>): Promise<void> {
    const room = this.#requireRoom();
    this.#wanted.add(source);
    const wanted = (): boolean => this.#room === room && this.#wanted.has(source);
    await media.publishWithRetry(room, wanted, () => publish(room.localParticipant));
  }

  /** Mutes or unmutes the microphone. */
  async muteLocalAudio(mute: boolean): Promise<void> {
    if (mute) this.#wanted.delete('microphone');
    await this.#requireRoom().localParticipant.setMicrophoneEnabled(!mute);
  }

  /** Unpublishes and releases the microphone. */
  async stopLocalAudio(): Promise<void> {
    this.#wanted.delete('microphone');
    const { localParticipant } = this.#requireRoom();
    const track = localParticipant.getTrackPublication(media.Track.Source.Microphone)?.track;
    if (track) await localParticipant.unpublishTrack(track);
  }

  async startScreenShare(): Promise<void> {
    await this.#requireRoom().localParticipant.setScreenShareEnabled(true, { audio: true });
  }

  async stopScreenShare(): Promise<void> {
    await this.#requireRoom().localParticipant.setScreenShareEnabled(false);
  }

  /** Shows the local video in an element. It reports whether there is a track. */
  startLocalPreview(element: HTMLVideoElement, source: Source = 'camera'): boolean {
    const track = this.#publication(this.#requireRoom().localParticipant, source)?.track;
    track?.attach(element);
    return track !== undefined;
  }

  /**
   * Shows the video of a user in an element. It reports whether there is a track; if not, wait for
   * onUserVideoAvailable.
   */
  startRemoteView(userID: string, element: HTMLVideoElement, source: Source = 'camera'): boolean {
    const participant = this.#room?.remoteParticipants.get(userID);
    const publication = participant && (this.#publication(participant, source) as RemoteTrackPublication | undefined);
    publication?.setSubscribed(true);
    publication?.track?.attach(element);
    return publication?.track !== undefined;
  }

  /** Detaches the video of a user from an element or, without one, unsubscribes from it. */
  stopRemoteView(userID: string, element?: HTMLVideoElement, source: Source = 'camera'): void {
    const participant = this.#room?.remoteParticipants.get(userID);
    const publication = participant && (this.#publication(participant, source) as RemoteTrackPublication | undefined);
    if (element) publication?.track?.detach(element);
    else publication?.setSubscribed(false);
  }

  /**
   * Switches between speaking and listening, up to the granted role. It waits up to 3 s for the change to take effect.
   */
  async switchRole(role: Role): Promise<void> {
    const room = this.#requireRoom();
    const changed =
      this.role === role
        ? undefined
        : new Promise<void>((resolve) => {
            room.once(media.RoomEvent.ParticipantPermissionsChanged, () => resolve());
          });
    await this.#client.switchRole({ roomID: this.#id, role });
    if (role === 'anchor') this.#granted = 'anchor';
    await Promise.race([changed, new Promise((resolve) => setTimeout(resolve, 3000))]);
  }

  /** Sends a small message to all users in the room. It is not stored. */
  async sendCustomCmdMsg(topic: string, data: Uint8Array, reliable = true): Promise<void> {
    await this.#requireRoom().localParticipant.publishData(data as Uint8Array<ArrayBuffer>, { reliable, topic });
  }

  /** Starts audio that the browser has blocked. Call it from a click. */
  async resumeAudio(): Promise<void> {
    await this.#room?.startAudio();
  }

  #publication(p: Participant, source: Source): LocalTrackPublication | RemoteTrackPublication | undefined {
    return p.getTrackPublication(source === 'camera' ? media.Track.Source.Camera : media.Track.Source.ScreenShare) as
      LocalTrackPublication | RemoteTrackPublication | undefined;
  }

  /** Raises the entry of a user with connected media. */
  #enters(p: RemoteParticipant, active = p.isActive): void {
    // LiveKit may emit a buffered event after the leave of the user.
    if (this.#room?.remoteParticipants.get(p.identity) !== p) return;
    if (!this.#in || !active || this.#others.has(p.identity)) return;
    this.#others.add(p.identity);
    this.emit('onRemoteUserEnterRoom', { userID: p.identity });
    for (const pub of p.trackPublications.values()) this.#update(p, pub as RemoteTrackPublication);
  }

  /** Raises a change of a link. A recovery is raised only after a loss. */
  #linkChanged(userID: string, link: Link): void {
    const own = userID === this.#client.userID;
    const lost = this.#lost;
    if (own) this.#lost = link === 'lost';
    if (own || this.#others.has(userID)) this.emit('onLinkChanged', { userID, link });
    if (own && !lost && this.#lost) this.emit('onConnectionLost', { roomID: this.#id });
    if (own && lost && !this.#lost) this.emit('onConnectionRecovery', { roomID: this.#id });
  }

  /** Raises a change in the availability of a track. */
  #update(p: RemoteParticipant, pub: RemoteTrackPublication): void {
    const names = {
      [media.Track.Source.Camera]: 'onUserVideoAvailable',
      [media.Track.Source.ScreenShare]: 'onUserSubStreamAvailable',
      [media.Track.Source.Microphone]: 'onUserAudioAvailable',
    } as const;
    const name = names[pub.source as keyof typeof names];
    if (!name || !this.#others.has(p.identity)) return;
    const available = pub.track !== undefined && !pub.isMuted && p.trackPublications.has(pub.trackSid);
    const key = `${p.identity}/${pub.source}`;
    if ((this.#available.get(key) ?? false) === available) return;
    this.#available.set(key, available);
    this.emit(name, { userID: p.identity, available });
  }

  /** Disconnects on page unload. It does not hang up, because a reload resumes the call. */
  #onPageHide = (): void => {
    const room = this.#room;
    if (!room) return;
    this.#forget(room);
    void room.disconnect();
  };

  #listen(room: LiveKitRoom): void {
    globalThis.addEventListener?.('pagehide', this.#onPageHide);
    media.repairFullReconnects(room);
    const update = (pub: RemoteTrackPublication, p: RemoteParticipant): void => this.#update(p, pub);
    const local = (): void =>
      this.emit('onLocalChanged', { camera: this.camera, microphone: this.microphone, screen: this.screen });
    room
      .on(media.RoomEvent.ParticipantConnected, (p) => this.#enters(p))
      .on(media.RoomEvent.ParticipantActive, (p) => this.#enters(p as RemoteParticipant, true)) // isActive follows the event
      .on(media.RoomEvent.ParticipantDisconnected, (p) => {
        if (!this.#others.has(p.identity)) return;
        for (const pub of p.trackPublications.values()) this.#update(p, pub as RemoteTrackPublication);
        for (const key of this.#available.keys()) if (key.startsWith(`${p.identity}/`)) this.#available.delete(key);
        this.#others.delete(p.identity);
        this.emit('onRemoteUserLeaveRoom', { userID: p.identity });
      })
      .on(media.RoomEvent.TrackSubscribed, (track, pub, p) => {
        if (pub.track !== track || room.remoteParticipants.get(p.identity) !== p) return; // buffered, and outdated
        if (track.kind === media.Track.Kind.Audio) {
          const el = track.attach();
          el.hidden = true;
          document.body.append(el);
          this.#sounds.set(track, el);
        }
        update(pub, p);
      })
      .on(media.RoomEvent.TrackUnsubscribed, (track, pub, p) => {
        track.detach();
        this.#sounds.get(track)?.remove();
        this.#sounds.delete(track);
        update(pub, p);
      })
      .on(media.RoomEvent.TrackUnpublished, update)
      .on(media.RoomEvent.TrackMuted, (pub, p) =>
        p.isLocal ? local() : update(pub as RemoteTrackPublication, p as RemoteParticipant),
      )
      .on(media.RoomEvent.TrackUnmuted, (pub, p) =>
        p.isLocal ? local() : update(pub as RemoteTrackPublication, p as RemoteParticipant),
      )
      .on(media.RoomEvent.LocalTrackPublished, ({ track }) => {
        if (track) this.#sent.add(track);
        local();
      })
      .on(media.RoomEvent.LocalTrackUnpublished, local)
      .on(media.RoomEvent.ActiveSpeakersChanged, (list) =>
        this.emit('onUserVoiceVolume', {
          volumes: Object.fromEntries(list.map((p) => [p.identity, Math.round(p.audioLevel * 100)])),
        }),
      )
      .on(media.RoomEvent.ConnectionQualityChanged, (q, p) =>
        this.emit('onNetworkQuality', { userID: p.identity, quality: media.qualityOf(q) }),
      )
      .on(media.RoomEvent.AudioPlaybackStatusChanged, () =>
        this.emit('onAudioBlocked', { blocked: !room.canPlaybackAudio }),
      )
      .on(media.RoomEvent.ParticipantPermissionsChanged, (_, p) => {
        if (p.isLocal) this.emit('onRoleChanged', { role: this.role });
      })
      .on(media.RoomEvent.DataReceived, (data, p, _, topic) =>
        this.emit('onRecvCustomCmdMsg', { userID: p?.identity ?? '', topic: topic ?? '', data }),
      )
      .on(media.RoomEvent.Disconnected, (reason) => {
        if (this.#room !== room) return;
        const entered = this.#in; // else enterRoom rejects
        const roomID = this.#forget(room);
        if (entered) this.emit('onExitRoom', { roomID, reason: media.reasonOf(reason) });
      });
  }
}
