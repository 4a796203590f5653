// Recording of voice messages in a browser: upload the recording as a sound, and send it with its duration.
import { Emitter } from './emitter.js';
import { BeckonError, Code } from './error.js';

/** A finished recording. */
export interface Recording {
  body: Blob;
  /** Milliseconds. */
  duration: number;
}

/** The events of a VoiceRecorder. */
export interface VoiceEvents {
  /** The recording has reached its maximum, and stopped. stop returns it. */
  onLimit: undefined;
}

export interface VoiceOptions {
  /** Maximum duration in milliseconds. Default: 60,000. */
  maxDuration?: number | undefined;
}

/** Formats of MediaRecorder, the preferred first: Safari has only the second. */
const formats = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];

/** Reports whether this browser can record: it needs a secure page (https, or localhost). */
export function canRecord(): boolean {
  const media = (globalThis as { navigator?: Partial<Navigator> }).navigator?.mediaDevices;
  return typeof MediaRecorder !== 'undefined' && Boolean(media);
}

type Phase = 'idle' | 'starting' | 'recording' | 'ended';

/** VoiceRecorder records the microphone. Create one for each recording. */
export class VoiceRecorder extends Emitter<VoiceEvents> {
  #max: number;
  #phase: Phase = 'idle';
  #stream: MediaStream | undefined;
  #recorder: MediaRecorder | undefined;
  #chunks: Blob[] = [];
  #began = 0;
  #duration = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped: Promise<void> = Promise.resolve();
  #cancelled = false;

  constructor(options: VoiceOptions = {}) {
    super(new Set(['onLimit']));
    this.#max = options.maxDuration ?? 60_000;
  }

  /** Milliseconds recorded so far. */
  get duration(): number {
    return this.#phase === 'recording' ? Math.min(performance.now() - this.#began, this.#max) : this.#duration;
  }

  /** Asks for the microphone, and begins. It rejects with the browser's error, as NotAllowedError, or after cancel. */
  async start(): Promise<void> {
    if (this.#phase !== 'idle') throw refusal('a VoiceRecorder records once: create another one');
    this.#phase = 'starting';
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      this.#stream = stream;
      if (this.#cancelled) throw refusal('the recording was cancelled');
      const mimeType = formats.find((f) => MediaRecorder.isTypeSupported(f));
      const r = new MediaRecorder(stream, mimeType ? { mimeType } : {});
      this.#recorder = r;
      r.ondataavailable = (e) => this.#chunks.push(e.data);
      this.#stopped = new Promise((resolve) => {
        r.onstop = () => {
          this.#end(); // also when the microphone was unplugged
          resolve();
        };
      });
      r.start();
    } catch (err) {
      this.#end();
      throw err;
    }
    this.#phase = 'recording';
    this.#began = performance.now();
    this.#timer = setTimeout(() => {
      this.#end();
      this.emit('onLimit', undefined);
    }, this.#max);
  }

  /** Ends the recording, and returns it. It rejects after cancel, and before start has resolved. */
  async stop(): Promise<Recording> {
    if (this.#phase === 'idle' || this.#phase === 'starting') this.cancel();
    this.#end();
    await this.#stopped;
    if (this.#cancelled) throw refusal('the recording was cancelled');
    const type = (this.#recorder?.mimeType ?? '').split(';')[0] || 'audio/webm';
    return { body: new Blob(this.#chunks, { type }), duration: Math.round(this.#duration) };
  }

  /** Ends the recording without a result, also while the browser asks for the microphone. */
  cancel(): void {
    this.#cancelled = true;
    this.#end();
    this.#chunks = [];
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#duration = this.duration;
    if (this.#phase !== 'starting' || this.#stream) this.#phase = 'ended';
    if (this.#recorder?.state === 'recording') this.#recorder.stop();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
  }
}

function refusal(message: string): BeckonError {
  return new BeckonError({ code: Code.BadParameter, field: 'recording', message });
}
