// The events of a media room, and their values.
import type { Link } from './link.js';
import type { Paused } from './pictures.js';

export type Role = 'anchor' | 'audience';

/** The reason of leaving a room. */
export type LeaveReason = 'hangup' | 'left' | 'removed' | 'replaced' | 'dismissed' | 'mediaLost';

/** The events of a room, under the original's names. */
export interface RoomEvents {
  /** This device entered; ms is the duration of enterRoom, in milliseconds. */
  onEnterRoom: { roomID: string; ms: number };
  /** This device left or was disconnected. */
  onExitRoom: { roomID: string; reason: LeaveReason };
  /** A user entered; also raised after onEnterRoom for each user in the room. */
  onRemoteUserEnterRoom: { userID: string };
  onRemoteUserLeaveRoom: { userID: string };
  /** The camera of a user became available or unavailable. */
  onUserVideoAvailable: { userID: string; available: boolean };
  /** The screen share of a user became available or unavailable. */
  onUserSubStreamAvailable: { userID: string; available: boolean };
  /** The microphone of a user became available or unavailable. Audio plays by itself. */
  onUserAudioAvailable: { userID: string; available: boolean };
  /** Volumes of the active speakers, 0 to 100, including this user. */
  onUserVoiceVolume: { volumes: Record<string, number> };
  /** Connection quality: 0 unknown, 1 excellent, 2 good, 4 poor, 6 lost. */
  onNetworkQuality: { userID: string; quality: number };
  /** The connection of a user to the room has changed, this user's included. It is good after an entry. */
  onLinkChanged: { userID: string; link: Link };
  /** No packets arrive at this device: its link is lost. */
  onConnectionLost: { roomID: string };
  /** Packets arrive again, after onConnectionLost. */
  onConnectionRecovery: { roomID: string };
  /**
   * Pictures are paused in these directions, because the connection of this device is too slow for them, so that sound
   * comes through. They are resumed by themselves: 15 s later, and after longer times if the connection is still slow.
   */
  onPicturesPaused: Paused;
  /** The role of this device changed, by switchRole or by a host. */
  onRoleChanged: { role: Role };
  /** The browser blocks audio until a user gesture: call resumeAudio from a click. */
  onAudioBlocked: { blocked: boolean };
  /** The camera, microphone or screen share of this device went on or off. */
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
  onLinkChanged: 1,
  onConnectionLost: 1,
  onConnectionRecovery: 1,
  onPicturesPaused: 1,
  onRoleChanged: 1,
  onAudioBlocked: 1,
  onLocalChanged: 1,
  onRecvCustomCmdMsg: 1,
};
export const roomEvents: ReadonlySet<string> = new Set(Object.keys(every));
