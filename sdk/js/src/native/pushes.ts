// The pushes of Firebase and PushKit.
import type { InitialEvent, Messaging, VoipPush } from './boundary.js';

/** PushListener receives pushes, the token of PushKit, and taps on notifications. */
export interface PushListener {
  /** A push; onScreen: native code has shown its call. It resolves when the background task may end. */
  received: (payload: unknown, onScreen: boolean) => Promise<void>;
  registered: (voipToken: string) => void;
  opened: (payload: unknown) => void;
}

/** Subscribes to PushKit, on iOS. Pushes from before JavaScript ran arrive by didLoadWithEvents. */
export function listenToPushKit(voipPush: VoipPush, to: PushListener): void {
  const notified = (payload: unknown): void => void to.received(payload, true);
  voipPush.addEventListener('didLoadWithEvents', (events: InitialEvent[]) => {
    for (const { name, data } of events) {
      if (name === 'RNVoipPushRemoteNotificationsRegisteredEvent') to.registered(String(data));
      if (name === 'RNVoipPushRemoteNotificationReceivedEvent') notified(data);
    }
  });
  voipPush.addEventListener('register', to.registered);
  voipPush.addEventListener('notification', notified);
  voipPush.registerVoipToken();
}

/** Subscribes to Firebase: to pushes in the foreground and the background, and to tapped alerts. */
export function listenToMessaging(messaging: Messaging, to: PushListener): void {
  const m = messaging.getMessaging();
  messaging.setBackgroundMessageHandler(m, ({ data }) => to.received(data, false));
  messaging.onMessage(m, ({ data }) => to.received(data, false));
  messaging.onNotificationOpenedApp(m, ({ data }) => to.opened(data));
  messaging.getInitialNotification(m).then(
    (first) => first && to.opened(first.data),
    () => undefined, // the app starts without it
  );
}
