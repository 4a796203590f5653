// The camera and microphone of this device: opened at once, sent when the room and the call permit.
import { Track, type LocalTrack, type Room as LiveKitRoom, type VideoCaptureOptions } from 'livekit-client';

type Device = Track.Source.Camera | Track.Source.Microphone;

/** A device that is being opened, or is open and not sent yet. */
interface Opening {
  track?: LocalTrack;
  sending?: Promise<unknown>;
  done: Promise<void>;
}

/**
 * LocalTracks opens camera and microphone without waiting for the room: while it is entered, and while a call rings.
 * Nothing is sent before the promise sendAfter resolves.
 */
export class LocalTracks {
  #room: LiveKitRoom;
  #sendAfter: Promise<unknown>;
  #changed: () => void;
  #openings = new Map<Device, Opening>();

  constructor(room: LiveKitRoom, sendAfter: Promise<unknown>, changed: () => void) {
    this.#room = room;
    this.#sendAfter = sendAfter;
    this.#changed = changed;
  }

  /** Returns the track of a device that is open and not sent yet. */
  unsent(device: Device): LocalTrack | undefined {
    return this.#openings.get(device)?.track;
  }

  /** Opens a device and sends its track. It resolves when the track is published. */
  async open(device: Device, options?: VideoCaptureOptions): Promise<void> {
    if (this.#room.localParticipant.getTrackPublication(device)) return this.#enable(device, true);
    const before = this.#openings.get(device);
    if (before) return before.done;
    const opening = { done: Promise.resolve() };
    this.#openings.set(device, opening);
    return (opening.done = this.#run(device, opening, options));
  }

  async #run(device: Device, opening: Opening, options?: VideoCaptureOptions): Promise<void> {
    const me = this.#room.localParticipant;
    const current = (): boolean => this.#openings.get(device) === opening;
    try {
      const [track] = await me.createTracks(
        device === Track.Source.Camera ? { video: options ?? true } : { audio: true },
      );
      if (!current()) return track?.stop(); // closed meanwhile
      if (!track) return;
      opening.track = track;
      this.#changed();
      await this.#sendAfter;
      if (current()) await (opening.sending = me.publishTrack(track));
    } catch (err) {
      opening.track?.stop();
      throw err;
    } finally {
      if (current()) {
        this.#openings.delete(device);
        this.#changed();
      }
    }
  }

  /** Closes a device. */
  async close(device: Device): Promise<void> {
    const opening = this.#openings.get(device);
    await opening?.sending?.catch(() => undefined);
    if (!opening || opening.sending) return this.#enable(device, false);
    this.#openings.delete(device);
    opening.track?.stop();
    this.#changed();
  }

  /** Closes the devices that are not sent yet, for good. */
  stop(): void {
    for (const { track } of this.#openings.values()) track?.stop();
    this.#openings.clear();
    this.#changed = () => {};
  }

  async #enable(device: Device, on: boolean): Promise<void> {
    const me = this.#room.localParticipant;
    await (device === Track.Source.Camera ? me.setCameraEnabled(on) : me.setMicrophoneEnabled(on));
  }
}
