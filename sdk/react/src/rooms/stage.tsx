import { useState, type ReactNode } from 'react';
import type { GroupRoom } from './group-room.js';
import { Button, IconButton } from '../ui/button.js';
import { useText } from '../use.js';

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
  const t = useText();
  const [chat, setChat] = useState(false);
  const { entry, problem, retry, room } = groupRoom;
  return (
    <section className={`stage ${chat ? 'chatting' : ''}`} aria-label={title} data-entry={entry}>
      <header className="top">
        <IconButton icon="back" label={t('back')} className="round quiet narrow" onClick={onBack} />
        <div className="title">
          <h1>{title}</h1>
          <span className="muted">{subtitle}</span>
        </div>
        {blocked && (
          <Button tone="main" onClick={() => void room.resumeAudio()}>
            {t('call.playSound')}
          </Button>
        )}
        <IconButton
          icon="chat"
          label={t(chat ? 'room.hideChat' : 'room.showChat')}
          aria-pressed={chat}
          className="round quiet narrow-only"
          onClick={() => setChat(!chat)}
        />
      </header>
      <div className="floor">
        <div className="action">
          {entry === 'in' && lost && (
            <div className="banner lost" role="alert">
              {t('room.lost')}
            </div>
          )}
          {entry === 'lost' && (
            <div className="banner lost" role="alert">
              {t('room.noMedia')}
            </div>
          )}
          {entry === 'failed' && (
            <div className="banner error" role="alert">
              <span>{problem}</span>
              <Button onClick={retry}>{t('tryAgain')}</Button>
            </div>
          )}
          {entry === 'removed' && (
            <div className="banner error" role="alert">
              <span>
                {t('room.notIn')} {problem}
              </span>
              <Button onClick={retry}>{t('room.enterAgain')}</Button>
            </div>
          )}
          {entry === 'entering' && (
            <p className="muted pad" role="status">
              {t('room.entering')}
            </p>
          )}
          {entry !== 'removed' && children}
          {entry !== 'removed' && (
            <div className="bar" role="toolbar" aria-label={t('room.controls')}>
              {bar}
              <IconButton icon="out" label={t('room.leave')} onClick={onBack} />
            </div>
          )}
        </div>
        <aside aria-label={t('room.chat')}>{side}</aside>
      </div>
    </section>
  );
}
