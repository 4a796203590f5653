// Recording of voice messages in a browser: upload the recording as a sound, and send it with its duration.
import { Emitter } from './emitter.js';

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
  maxDuration?: number;
}

/** Formats of MediaRecorder, the preferred first: Safari has only the second. */
const formats = ['audio/webm;codecs=opus', 'audio/mp4', 'audio/ogg;codecs=opus'];

/** Reports whether this browser can record: it needs a secure page (https, or localhost). */
export function canRecord(): boolean {
  const media = (globalThis as { navigator?: Partial<Navigator> }).navigator?.mediaDevices;
  return typeof MediaRecorder !== 'undefined' && Boolean(media);
}

/** VoiceRecorder records the microphone. Create one for each recording. */
export class VoiceRecorder extends Emitter<VoiceEvents> {
  #max: number;
  #stream: MediaStream | undefined;
  #recorder: MediaRecorder | undefined;
  #chunks: Blob[] = [];
  #began = 0;
  #duration = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended: Promise<void> | undefined;
  #cancelled = false;

  constructor(options: VoiceOptions = {}) {
    super(new Set(['onLimit']));
    this.#max = options.maxDuration ?? 60_000;
  }

  /** Milliseconds recorded so far. */
  get duration(): number {
    return this.#began ? Math.min(performance.now() - this.#began, this.#max) : this.#duration;
  }

  /** Asks for the microphone, and begins. It rejects with the browser's error, as NotAllowedError. */
  async start(): Promise<void> {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    this.#stream = stream;
    if (this.#cancelled) return this.#release();
    const mimeType = formats.find((f) => MediaRecorder.isTypeSupported(f));
    const r = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this.#recorder = r;
    r.ondataavailable = (e) => this.#chunks.push(e.data);
    this.#ended = new Promise((resolve) => {
      r.onstop = () => resolve();
    });
    r.start();
    this.#began = performance.now();
    this.#timer = setTimeout(() => {
      this.#end();
      this.emit('onLimit', undefined);
    }, this.#max);
  }

  /** Ends the recording, and returns it. */
  async stop(): Promise<Recording> {
    this.#end();
    await this.#ended;
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
    this.#began = 0;
    if (this.#recorder?.state === 'recording') this.#recorder.stop();
    this.#release();
  }

  #release(): void {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
  }
}
