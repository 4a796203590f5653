import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { VoiceRecorder, type Recording } from 'beckon/voice';
import { Button, IconButton } from '../ui/button.js';
import { duration, useSession, useText } from '../use.js';

/** The bar that records a voice message. onEnd gets it, or undefined when it was cancelled. */
export function Recorder({ onEnd }: { onEnd: (r: Recording | undefined) => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const [recorder] = useState(() => new VoiceRecorder());
  const [shown, setShown] = useState(0);
  const [began, setBegan] = useState(false);
  const finished = useRef(false); // by the first of Send, Cancel, the limit, an error, and the end of the view
  const latest = useRef(onEnd);
  useEffect(() => {
    latest.current = onEnd;
  });
  const end = useCallback((r: Recording | undefined): void => {
    if (!finished.current) latest.current(r);
    finished.current = true;
  }, []);
  const finish = useCallback((): void => {
    recorder.stop().then(
      (r) => end(r),
      () => end(undefined),
    );
  }, [recorder, end]);
  useEffect(() => {
    finished.current = false;
    recorder.start().then(
      () => setBegan(true),
      (err: unknown) => {
        if (!finished.current) s.fail(err, 'failed.record');
        end(undefined);
      },
    );
    const timer = setInterval(() => setShown(recorder.duration), 250);
    const off = recorder.on('onLimit', finish);
    return () => {
      finished.current = true;
      off();
      clearInterval(timer);
      recorder.cancel();
    };
  }, [recorder, s, end, finish]);
  return (
    <div className="composer recording" role="group" aria-label={t('voice.recording')}>
      <span className="live" aria-hidden="true" />
      <span role="timer">{duration(shown)}</span>
      <Button
        tone="quiet"
        onClick={() => {
          finished.current = true;
          onEnd(undefined);
        }}
      >
        {t('cancel')}
      </Button>
      <IconButton icon="send" label={t('voice.send')} tone="main" disabled={!began} onClick={finish} />
    </div>
  );
}
