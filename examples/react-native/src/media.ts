// The media room of a call, by LiveKit.
import { AudioSession } from '@livekit/react-native';
import type { Schemas } from 'beckon';
import { Room } from 'livekit-client';
import { server } from './config';

type Entry = Schemas['EnterRoomResponse'];

/** Media is the room of one call at a time. */
export class Media {
  #room: Room | undefined;

  /** Enters the room of an answered call and opens the microphone. */
  async enter(entry: Entry, onEnd: () => void): Promise<void> {
    await this.leave();
    await AudioSession.startAudioSession();
    const room = (this.#room = new Room());
    room.on('disconnected', onEnd);
    room.on('participantDisconnected', () => {
      if (room.remoteParticipants.size === 0) onEnd();
    });
    await room.connect(entry.url || server.replace(/^http/, 'ws'), entry.token);
    await room.localParticipant.setMicrophoneEnabled(true);
  }

  async mute(muted: boolean): Promise<void> {
    await this.#room?.localParticipant.setMicrophoneEnabled(!muted);
  }

  async leave(): Promise<void> {
    const room = this.#room;
    this.#room = undefined;
    if (!room) return;
    room.removeAllListeners();
    await room.disconnect();
    await AudioSession.stopAudioSession();
  }
}
