import { useEffect } from 'react';
import { useObservable, useSession } from '@beckon/react';

/** The title of the page without unread messages. */
const plain = 'Beckon';

/** Shows the number of unread messages in the title of the page, and on its icon where the system can. */
export function Title(): null {
  const s = useSession();
  useObservable(s.conversations);
  const count = s.inbox.totalUnread;
  useEffect(() => {
    document.title = count ? `(${count > 99 ? '99+' : count}) ${plain}` : plain;
    if (count)
      void navigator.setAppBadge?.(count).catch(() => undefined); // not installed
    else void navigator.clearAppBadge?.().catch(() => undefined);
  }, [count]);
  useEffect(
    () => () => {
      document.title = plain;
    },
    [],
  );
  return null;
}
