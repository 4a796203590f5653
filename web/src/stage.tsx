import { useState, type ReactNode } from 'react';
import type { GroupRoom } from './group-room.js';
import { Button, IconButton } from './ui.js';

/** The layout of a group room: header, content, toolbar, chat. */
export function Stage({
  title,
  subtitle,
  groupRoom,
  blocked,
  lost,
  children,
  bar,
  side,
  onBack,
}: {
  title: string;
  subtitle: string;
  groupRoom: GroupRoom;
  blocked: boolean;
  lost: boolean;
  children: ReactNode;
  bar: ReactNode;
  side: ReactNode;
  onBack: () => void;
}): ReactNode {
  const [chat, setChat] = useState(false);
  const { entry, problem, retry, room } = groupRoom;
  return (
    <section className={`stage ${chat ? 'chatting' : ''}`} aria-label={title} data-entry={entry}>
      <header className="top">
        <IconButton icon="back" label="Back to the list" className="round quiet narrow" onClick={onBack} />
        <div className="title">
          <h1>{title}</h1>
          <span className="muted">{subtitle}</span>
        </div>
        {blocked && (
          <Button tone="main" onClick={() => void room.resumeAudio()}>
            Play the sound
          </Button>
        )}
        <IconButton
          icon="chat"
          label={chat ? 'Hide the chat' : 'Show the chat'}
          aria-pressed={chat}
          className="round quiet narrow-only"
          onClick={() => setChat(!chat)}
        />
      </header>
      <div className="floor">
        <div className="action">
          {entry === 'in' && lost && (
            <div className="banner lost" role="alert">
              The connection to the room is lost. Trying again…
            </div>
          )}
          {entry === 'lost' && (
            <div className="banner lost" role="alert">
              The media server cannot be reached. Trying again…
            </div>
          )}
          {entry === 'failed' && (
            <div className="banner error" role="alert">
              <span>{problem}</span>
              <Button onClick={retry}>Try again</Button>
            </div>
          )}
          {entry === 'removed' && (
            <div className="banner error" role="alert">
              <span>You are not in this room. {problem}</span>
              <Button onClick={retry}>Enter again</Button>
            </div>
          )}
          {entry === 'entering' && (
            <p className="muted pad" role="status">
              Entering…
            </p>
          )}
          {entry !== 'removed' && children}
          {entry !== 'removed' && (
            <div className="bar" role="toolbar" aria-label="Room controls">
              {bar}
            </div>
          )}
        </div>
        <aside aria-label="Chat">{side}</aside>
      </div>
    </section>
  );
}
