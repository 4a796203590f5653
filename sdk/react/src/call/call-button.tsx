import type { ReactNode } from 'react';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { useCall, useSession, useText } from '../use.js';

/** The properties of a CallButton. */
export interface CallButtonProps {
  /** The user to call. */
  userID: string;
  media?: 'video' | 'audio';
}

/** A button that calls a user. */
export function CallButton({ userID, media = 'video' }: CallButtonProps): ReactNode {
  const s = useSession();
  const t = useText();
  const { phase } = useCall();
  const call = (): void => {
    s.calls.call({ userID }, { media }).catch((err: unknown) => s.fail(err, 'failed.call'));
  };
  return (
    <Button tone="main" disabled={phase !== 'idle'} onClick={call}>
      <Icon name={media === 'audio' ? 'phone' : 'video'} /> {t(media === 'audio' ? 'call.voice' : 'call.video')}
    </Button>
  );
}
