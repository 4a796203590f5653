import { useEffect, useState, type ReactNode } from 'react';
import { useName, useSession, useText } from '../use.js';

/** The line with the users that are typing in a conversation. */
export function TypingLine({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  const [users, set] = useState<string[]>([]);
  useEffect(() => {
    const read = (): void => set(s.inbox.typing.users(conversationID));
    read();
    return s.inbox.typing.on('onChanged', (e) => {
      if (e.conversationID === conversationID) read();
    });
  }, [s, conversationID]);
  const name = useName(users[0] ?? '');
  const text = users.length === 0 ? '' : t('typing', { count: users.length, name });
  return (
    <p className="typing" aria-live="polite">
      {text}
    </p>
  );
}
