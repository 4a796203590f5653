import { useEffect, useEffectEvent, useRef, useState, type RefObject } from 'react';
import type { TextKey } from '../text/text.js';
import { useText } from '../use.js';

/**
 * A view of the own camera before a call is answered. It starts by itself only if the permission is granted already, so
 * that no permission dialog opens while the call rings.
 */
export function usePreview(on: boolean): {
  ref: RefObject<HTMLVideoElement | null>;
  error: string;
  stop: () => void;
  ask: (() => void) | undefined;
} {
  const t = useText();
  const text = useEffectEvent((key: TextKey) => t(key));
  const ref = useRef<HTMLVideoElement>(null);
  const stream = useRef<MediaStream>(undefined);
  const [error, setError] = useState('');
  const [may, setMay] = useState(false);
  useEffect(() => {
    if (on)
      navigator.permissions?.query({ name: 'camera' }).then(
        (p) => setMay(p.state === 'granted'),
        () => undefined,
      );
  }, [on]);
  const stop = (): void => {
    for (const track of stream.current?.getTracks() ?? []) track.stop();
  };
  useEffect(() => {
    if (!on || !may) return;
    let gone = false;
    if (!navigator.mediaDevices) {
      setError(text('preview.insecure'));
      return;
    }
    navigator.mediaDevices.getUserMedia({ video: { width: 640 } }).then(
      (m) => {
        stream.current = m;
        if (gone) return stop();
        if (ref.current) ref.current.srcObject = m;
      },
      (err: Error) => setError(text(err.name === 'NotFoundError' ? 'preview.noCamera' : 'preview.forbidden')),
    );
    return () => {
      gone = true;
      stop();
    };
  }, [on, may]);
  return { ref, error, stop, ask: may ? undefined : () => setMay(true) };
}
