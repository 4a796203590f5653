import { useEffect, useRef, type ButtonHTMLAttributes, type ReactNode } from 'react';
import { useCall, useName, useSession, useObservable } from './use.js';

const paths = {
  bell: 'M12 22a2.2 2.2 0 0 0 2.2-2h-4.4A2.2 2.2 0 0 0 12 22zm7-6-2-2v-4a5 5 0 0 0-4-4.9V4a1 1 0 0 0-2 0v1.1A5 5 0 0 0 7 10v4l-2 2v1h14z',
  phone:
    'M6.6 10.8a15 15 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.25 11.4 11.4 0 0 0 3.6.6 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1c0 1.25.2 2.45.57 3.57a1 1 0 0 1-.25 1z',
  video: 'M4 6h10a2 2 0 0 1 2 2v1.6l4-2.6v10l-4-2.6V16a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2z',
  mic: 'M12 14a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3zm5-3a5 5 0 0 1-10 0H5a7 7 0 0 0 6 6.9V21h2v-3.1A7 7 0 0 0 19 11z',
  screen:
    'M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1h-6v2h2v1H8v-1h2v-2H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zm8 3-3.5 3.5H11V15h2v-3.5h2.5z',
  add: 'M9 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm0 2c-3 0-7 1.4-7 4v2h14v-2c0-2.6-4-4-7-4zm9-1v-3h3V8h-3V5h-2v3h-3v2h3v3z',
  hand: 'M8 21a6 6 0 0 1-5.2-3L1 14.5l.8-.7a2 2 0 0 1 2.6.1L6 15.4V5a1.2 1.2 0 0 1 2.4 0v6H9V3.2a1.2 1.2 0 0 1 2.4 0V11h.6V4.2a1.2 1.2 0 0 1 2.4 0V11h.6V6.5a1.2 1.2 0 0 1 2.4 0V15a6 6 0 0 1-6 6z',
  chat: 'M4 4h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H8l-5 4V6a2 2 0 0 1 1-2z',
  school: 'M12 3 1 9l11 6 9-4.9V17h2V9zM5 13.2V17l7 4 7-4v-3.8l-7 3.8z',
  sofa: 'M5 10V7a3 3 0 0 1 3-3h8a3 3 0 0 1 3 3v3a3 3 0 0 0-2 2.8V14H7v-1.2A3 3 0 0 0 5 10zm-1.5 1A1.5 1.5 0 0 0 2 12.5V19h2v1h2v-1h12v1h2v-1h2v-6.5A1.5 1.5 0 0 0 19 12.5V16H5v-3.5A1.5 1.5 0 0 0 3.5 11z',
  send: 'M3 20.5 21.5 12 3 3.5V10l12 2-12 2z',
  clip: 'M16.5 6v11a4 4 0 0 1-8 0V5a2.5 2.5 0 0 1 5 0v10a1 1 0 0 1-2 0V6H10v9a2.5 2.5 0 0 0 5 0V5a4 4 0 0 0-8 0v12a5.5 5.5 0 0 0 11 0V6z',
  back: 'M20 11H7.8l5.6-5.6L12 4l-8 8 8 8 1.4-1.4L7.8 13H20z',
  close: 'M19 6.4 17.6 5 12 10.6 6.4 5 5 6.4 10.6 12 5 17.6 6.4 19 12 13.4 17.6 19 19 17.6 13.4 12z',
  out: 'M10 17v-3H3v-4h7V7l5 5zm2-14h7a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2h-7v-2h7V5h-7z',
  check: 'M9 16.2 4.8 12l-1.4 1.4L9 19 21 7l-1.4-1.4z',
  sound: 'M3 9v6h4l5 5V4L7 9zm13.5 3a4.5 4.5 0 0 0-2.5-4v8a4.5 4.5 0 0 0 2.5-4z',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, off = false }: { name: IconName; off?: boolean }): ReactNode {
  return (
    <svg viewBox="0 0 24 24" className="icon" aria-hidden="true">
      <path d={paths[name]} />
      {off && <path d="M3 4.3 4.3 3 21 19.7 19.7 21z" className="slash" />}
    </svg>
  );
}

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { tone?: 'plain' | 'main' | 'go' | 'stop' | 'quiet' };

export function Button({ tone = 'plain', className = '', ...rest }: ButtonProps): ReactNode {
  return <button type="button" className={`button ${tone} ${className}`} {...rest} />;
}

/** A round button with an icon. The label is its accessible name and tooltip. */
export function IconButton({
  icon,
  label,
  off,
  tone = 'quiet',
  ...rest
}: ButtonProps & { icon: IconName; label: string; off?: boolean }): ReactNode {
  return (
    <button type="button" className={`round ${tone}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} off={off ?? false} />
    </button>
  );
}

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
}: {
  id: string;
  name: string;
  size?: number;
  square?: boolean;
  online?: boolean | undefined;
}): ReactNode {
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
      {letters}
      {online !== undefined && <span className={`dot ${online ? 'on' : ''}`} />}
    </span>
  );
}

export function UserAvatar({ userID, size }: { userID: string; size?: number }): ReactNode {
  const s = useSession();
  const name = useName(userID);
  const online = useObservable(s.online)[userID];
  return <Avatar id={userID} name={name} {...(size ? { size } : {})} online={userID === s.me ? undefined : online} />;
}

export function Name({ id }: { id: string }): ReactNode {
  const s = useSession();
  const name = useName(id);
  return <>{id === s.me ? 'You' : name}</>;
}

/**
 * A modal dialog. It takes the keyboard focus itself, so that typed keys press no button. Escape closes it. The start
 * of a call closes it, unless it belongs to the call.
 */
export function Dialog({
  title,
  onClose,
  children,
  className = '',
  ofCall = false,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
  className?: string;
  ofCall?: boolean;
}): ReactNode {
  const ref = useRef<HTMLDialogElement>(null);
  const talking = !['idle', 'ringing'].includes(useCall().phase);
  useEffect(() => {
    if (talking && !ofCall) onClose();
  });
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) {
      dialog.showModal();
      dialog.focus();
    }
  }, []);
  return (
    <dialog
      ref={ref}
      tabIndex={-1}
      className={`dialog ${className}`}
      aria-label={title}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
    >
      <header>
        <h2>{title}</h2>
        <IconButton icon="close" label="Close" onClick={onClose} />
      </header>
      {children}
    </dialog>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ReactNode }): ReactNode {
  return (
    <div className="empty">
      <span className="mark">
        <Icon name={icon} />
      </span>
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Toasts, announced to screen readers. */
export function Toasts(): ReactNode {
  const s = useSession();
  const list = useObservable(s.toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {list.map((t) => (
        <div key={t.id} className={`toast ${t.tone}`}>
          {t.text}
          {t.action && (
            <>
              {' – '}
              <button type="button" onClick={t.action.run}>
                {t.action.label}
              </button>
            </>
          )}
        </div>
      ))}
    </div>
  );
}
