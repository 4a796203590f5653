// The screen of the system: CallKit of iOS, ConnectionService of Android, by CallKeep.
import type { CallKeep } from './boundary.js';
import { endCode } from './reason.js';
import type { ScreenAction } from './screen.js';

/** ScreenListener receives the events of the screen; UUIDs are in lower case. */
export interface ScreenListener {
  pressed: (button: 'answerPressed' | 'endPressed', uuid: string) => void;
  notShown: (uuid: string) => void;
  muted: (uuid: string, muted: boolean) => void;
  held: (uuid: string, held: boolean) => void;
}

/** Subscribes to CallKeep. Buttons that were pressed before JavaScript ran arrive by didLoadWithEvents. */
export function listenToCallKeep(callKeep: CallKeep, to: ScreenListener): void {
  const answer = (e: { callUUID: string }): void => to.pressed('answerPressed', e.callUUID.toLowerCase());
  const end = (e: { callUUID: string }): void => to.pressed('endPressed', e.callUUID.toLowerCase());
  callKeep.addEventListener('didLoadWithEvents', (events) => {
    for (const { name, data } of events) {
      if (name === 'RNCallKeepPerformAnswerCallAction') answer(data as { callUUID: string });
      if (name === 'RNCallKeepPerformEndCallAction') end(data as { callUUID: string });
    }
  });
  callKeep.addEventListener('answerCall', answer);
  callKeep.addEventListener('endCall', end);
  callKeep.addEventListener('didDisplayIncomingCall', ({ callUUID, errorCode }) => {
    if (errorCode && errorCode !== 'CallUUIDAlreadyExists') to.notShown(callUUID.toLowerCase());
  });
  callKeep.addEventListener('createIncomingConnectionFailed', (e) => to.notShown(e.callUUID.toLowerCase()));
  callKeep.addEventListener('didPerformSetMutedCallAction', (e) => to.muted(e.callUUID.toLowerCase(), e.muted));
  callKeep.addEventListener('didToggleHoldCallAction', (e) => to.held(e.callUUID.toLowerCase(), e.hold));
}

/** Executes an action that concerns the screen. CallKeep ignores calls that are for the other platform. */
export function changeScreen(callKeep: CallKeep, platform: string, action: ScreenAction): void {
  if (action.type === 'close') {
    const own = action.reason === 'hungUp' || action.reason === 'declined';
    if (own) callKeep.endCall(action.uuid);
    else callKeep.reportEndCallWithUUID(action.uuid, endCode(action.reason, platform));
    return;
  }
  const { uuid, inviter, conversationID, name, video, outgoing } = action.call;
  switch (action.type) {
    case 'show':
      return callKeep.displayIncomingCall(uuid, inviter, name, 'generic', video);
    case 'start':
      callKeep.startCall(uuid, conversationID, name, 'generic', video);
      return callKeep.reportConnectingOutgoingCallWithUUID(uuid); // iOS
    case 'connected':
      if (outgoing) callKeep.reportConnectedOutgoingCallWithUUID(uuid); // iOS
      callKeep.setCurrentCallActive(uuid); // Android
      if (!outgoing) callKeep.backToForeground(); // Android
  }
}
