// Ring tones, synthesized with Web Audio instead of fetched files.
import { useEffect, useState } from 'react';

export type Tone = 'incoming' | 'outgoing';

/** Plays a tone until the returned function is called. Browsers mute it until the first user gesture on the page. */
export function ring(tone: Tone): () => void {
  const audio = new AudioContext();
  const out = audio.createGain();
  out.gain.value = tone === 'incoming' ? 0.16 : 0.05;
  out.connect(audio.destination);
  const notes =
    tone === 'incoming'
      ? ([
          [659, 0],
          [784, 0.18],
          [988, 0.36],
          [784, 0.54],
        ] as const)
      : ([
          [440, 0],
          [440, 0.4],
        ] as const);
  const every = tone === 'incoming' ? 2 : 3;
  const play = (): void => {
    for (const [pitch, at] of notes) {
      const osc = audio.createOscillator();
      const env = audio.createGain();
      const t = audio.currentTime + at;
      osc.type = 'sine';
      osc.frequency.value = pitch;
      env.gain.setValueAtTime(0, t);
      env.gain.linearRampToValueAtTime(1, t + 0.02);
      env.gain.exponentialRampToValueAtTime(0.001, t + 0.38);
      osc.connect(env).connect(out);
      osc.start(t);
      osc.stop(t + 0.4);
    }
  };
  play();
  const timer = setInterval(play, every * 1000);
  return () => {
    clearInterval(timer);
    void audio.close();
  };
}

/** Plays a tone while the component is shown. */
export function useTone(tone: Tone | undefined): void {
  useEffect(() => (tone ? ring(tone) : undefined), [tone]);
}

/** Reports whether this tab is the one of the browser that plays a tone of this name. */
export function useTurn(name: string): boolean {
  const [mine, set] = useState(!globalThis.navigator?.locks);
  useEffect(() => {
    if (!navigator.locks) return;
    const stop = new AbortController();
    let release = (): void => undefined;
    const held = (): Promise<void> => {
      set(true);
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    navigator.locks.request(name, { signal: stop.signal }, held).catch(() => undefined); // aborted
    return () => {
      stop.abort();
      release();
      set(false);
    };
  }, [name]);
  return mine;
}
