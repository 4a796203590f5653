// The list of conversations, and a search in their messages.
import { useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Avatar, Name, UserAvatar } from '../ui/avatar.js';
import { Icon } from '../ui/icon.js';
import { useName, useObservable, useSession, useText, useTranslator } from '../use.js';
import { describe, preview } from './lines.js';

/** The properties of a ConversationList. */
export interface ConversationListProps {
  /** The conversation that is open. */
  current?: string;
  /** Called with a chosen conversation, and the sequence of a message that was found. Default: onNavigate. */
  onOpen?: (conversationID: string, seq?: number) => void;
}

/** Time after the last typed letter before a search begins, in milliseconds. */
const searchDelay = 300;

export function ConversationList({ current, onOpen }: ConversationListProps): ReactNode {
  const s = useSession();
  const t = useText();
  const list = useObservable(s.conversations);
  const [text, setText] = useState('');
  const found = useSearch(text);
  const open = onOpen ?? ((id: string, seq?: number) => s.navigate({ kind: 'chat', id, ...(seq ? { seq } : {}) }));
  return (
    <>
      <div className="find">
        <input
          type="search"
          value={text}
          placeholder={t('search')}
          aria-label={t('search')}
          onChange={(e) => setText(e.target.value)}
        />
      </div>
      {found ? (
        <Found list={found} onOpen={open} />
      ) : !list ? (
        <p className="muted pad">{t('conversations.loading')}</p>
      ) : list.length === 0 ? (
        <p className="muted pad">{t('conversations.none')}</p>
      ) : (
        <ul className="list">
          {list.map((c) => (
            <Item key={c.conversationID} c={c} here={c.conversationID === current} onOpen={open} />
          ))}
        </ul>
      )}
    </>
  );
}

/** Returns the messages that contain a text; undefined without a text, or before the server has answered. */
export function useSearch(text: string, conversationID?: string): readonly Schemas['Finding'][] | undefined {
  const s = useSession();
  const [found, set] = useState<readonly Schemas['Finding'][]>();
  const words = text.trim();
  useEffect(() => {
    set(undefined);
    if (!words) return;
    let current = true;
    const timer = setTimeout(() => {
      s.client.searchMessages({ text: words, limit: 50, ...(conversationID ? { conversationID } : {}) }).then(
        (r) => current && set(r.found),
        (err: unknown) => current && s.fail(err, 'failed.search'),
      );
    }, searchDelay);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [s, words, conversationID]);
  return words ? found : undefined;
}

/** The messages that a search found. */
export function Found({
  list,
  onOpen,
}: {
  list: readonly Schemas['Finding'][];
  onOpen: (conversationID: string, seq: number) => void;
}): ReactNode {
  const t = useText();
  const translator = useTranslator();
  if (!list.length) return <p className="muted pad">{t('search.none')}</p>;
  return (
    <ul className="list" aria-label={t('search.found')}>
      {list.map(({ conversationID, seq, message }) => (
        <li key={`${conversationID} ${seq}`}>
          <button type="button" className="item" onClick={() => onOpen(conversationID, seq)}>
            <UserAvatar userID={message.from} />
            <span className="text">
              <strong>
                <Name id={message.from} />
              </strong>
              <span className="muted" dir="auto">
                {describe(translator, message)}
              </span>
            </span>
            <span className="side">
              <time>{translator.when(message.time)}</time>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Item({
  c,
  here,
  onOpen,
}: {
  c: Schemas['Conversation'];
  here: boolean;
  onOpen: (conversationID: string) => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const peerName = useName(c.userID ?? '');
  const draft = useDraft(c.conversationID);
  useObservable(s.profiles);
  const title = c.type === 'group' ? c.name || c.groupID || '' : peerName;
  const name = (u: string): string => (u === s.me ? t('you') : s.name(u));
  const muted = c.receiveOption === 'nothing';
  return (
    <li>
      <button
        type="button"
        className={`item ${c.pinned ? 'pinned' : ''}`}
        aria-current={here ? 'page' : undefined}
        onClick={() => onOpen(c.conversationID)}
      >
        {c.type === 'group' ? (
          <Avatar id={c.groupID ?? ''} name={title} square />
        ) : (
          <UserAvatar userID={c.userID ?? ''} />
        )}
        <span className="text">
          <strong>{title}</strong>
          <span className="muted" dir="auto">
            {draft && !here ? t('draft', { text: draft }) : preview(translator, s.me, name, c.last)}
          </span>
        </span>
        <span className="side">
          <time>{c.lastTime ? translator.when(c.lastTime) : ''}</time>
          {muted && <Icon name="bell" off />}
          {c.unread > 0 && (
            <span className={`badge ${muted ? 'quiet' : ''}`}>
              <span aria-hidden="true">{c.unread > 99 ? '99+' : c.unread}</span>
              <span className="hidden-text">{t('unread', { count: c.unread })}</span>
            </span>
          )}
        </span>
      </button>
    </li>
  );
}

function useDraft(conversationID: string): string {
  const { inbox } = useSession();
  const [draft, set] = useState(() => inbox.draft(conversationID));
  useEffect(() => {
    const read = (): void => set(inbox.draft(conversationID));
    read();
    return inbox.on('onUnsent', (e) => {
      if (e.conversationID === conversationID) read();
    });
  }, [inbox, conversationID]);
  return draft;
}
