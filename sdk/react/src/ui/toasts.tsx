import type { ReactNode } from 'react';
import { useObservable, useSession } from '../use.js';

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
