// The signs of an incoming call on a page that is not visible: a notification, and the title of the page.
import { useEffect } from 'react';
import type { CallState } from 'beckon/call';
import { useName, useText } from '../use.js';

/** Time between two changes of the title, in milliseconds. */
const flashTime = 1000;

/** Shows an incoming call outside a page that is not visible. */
export function useAttention(call: CallState): void {
  const t = useText();
  const name = useName(call.inviter);
  const title = t(call.media === 'audio' ? 'call.voice' : 'call.video');
  const body = t('call.from', { name });
  useHiddenNotice(call.phase === 'ringing' ? call.inviteID : '', title, body, call.leader);
}

/** Shows a notice outside the page while it is not visible, as long as id is not empty. */
export function useHiddenNotice(id: string, title: string, body: string, leader = true): void {
  useEffect(() => {
    if (!id) return;
    let notification: Notification | undefined;
    const mark = `📞 ${body}`;
    let before = document.title;
    const restore = (): void => {
      if (document.title === mark) document.title = before;
    };
    const flash = (): void => {
      if (!document.hidden || document.title === mark) return restore();
      before = document.title; // the number of unread messages may change
      document.title = mark;
    };
    const changed = (): void => {
      flash();
      if (!document.hidden) {
        notification?.close();
        notification = undefined;
      } else if (leader && !notification && globalThis.Notification?.permission === 'granted') {
        try {
          notification = new Notification(title, { body, tag: `call/${id}`, requireInteraction: true });
          notification.onclick = () => window.focus();
        } catch {
          // some systems allow notifications of service workers only: the title remains
        }
      }
    };
    changed();
    document.addEventListener('visibilitychange', changed);
    const timer = setInterval(flash, flashTime);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', changed);
      notification?.close();
      restore();
    };
  }, [id, title, body, leader]);
}
