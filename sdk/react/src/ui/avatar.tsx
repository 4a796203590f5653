import { useState, type ReactNode } from 'react';
import { useName, useObservable, useSession, useText } from '../use.js';

function hue(id: string): number {
  let h = 0;
  for (const c of id) h = (h * 31 + c.charCodeAt(0)) % 360;
  return h;
}

export function Avatar({
  id,
  name,
  size = 44,
  square = false,
  online,
  picture,
}: {
  id: string;
  name: string;
  size?: number;
  square?: boolean;
  online?: boolean | undefined;
  /** The address of a picture, shown instead of the initials. */
  picture?: string | undefined;
}): ReactNode {
  const [failed, setFailed] = useState('');
  const letters = name
    .split(/\s+/)
    .map((w) => w[0] ?? '')
    .slice(0, 2)
    .join('')
    .toUpperCase();
  return (
    <span
      className={`avatar ${square ? 'square' : ''}`}
      style={{ ['--hue' as string]: hue(id), width: size, height: size, fontSize: size * 0.38 }}
      aria-hidden="true"
    >
      {picture && picture !== failed ? (
        <img
          src={picture}
          alt=""
          width={size}
          height={size}
          referrerPolicy="no-referrer"
          onError={() => setFailed(picture)}
        />
      ) : (
        letters
      )}
      {online !== undefined && <span className={`dot ${online ? 'on' : ''}`} />}
    </span>
  );
}

export function UserAvatar({ userID, size }: { userID: string; size?: number }): ReactNode {
  const s = useSession();
  const name = useName(userID);
  const online = useObservable(s.online)[userID];
  const picture = useObservable(s.profiles)[userID]?.faceURL;
  return (
    <Avatar
      id={userID}
      name={name}
      {...(size ? { size } : {})}
      online={userID === s.me ? undefined : online}
      picture={picture}
    />
  );
}

export function Name({ id }: { id: string }): ReactNode {
  const s = useSession();
  const t = useText();
  const name = useName(id);
  return <>{id === s.me ? t('you') : name}</>;
}
