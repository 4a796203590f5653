// The native libraries, passed to beckon/native in this one place.
import AsyncStorage from '@react-native-async-storage/async-storage';
import NetInfo from '@react-native-community/netinfo';
import * as messaging from '@react-native-firebase/messaging';
import { Native, type Notifications } from 'beckon/native';
import { AppState, Platform } from 'react-native';
import RNCallKeep from 'react-native-callkeep';
import VoipPushNotification from 'react-native-voip-push-notification';
import { server } from './config';

const callKeepOptions = {
  ios: { appName: 'Beckon', supportsVideo: true, includesCallsInRecents: false },
  android: {
    alertTitle: 'Calls of Beckon',
    alertDescription: 'Beckon shows its calls as calls of this phone. Permit it as a calling account.',
    cancelButton: 'Not now',
    okButton: 'Permit',
    additionalPermissions: [],
    foregroundService: { channelId: 'calls', channelName: 'Calls', notificationTitle: 'Beckon: a call continues' },
  },
};

/** Displays messages on Android. Replace it with the calls of your library, as displayNotification of Notifee. */
const notifications: Notifications = {
  show: ({ id, title, body }) => console.log('show', id, title, body),
  remove: (ids) => console.log('remove', ids),
};

/** The calls of this device. */
export const phone = new Native({
  server,
  platform: Platform.OS,
  callKeep: RNCallKeep,
  voipPush: VoipPushNotification,
  messaging,
  storage: AsyncStorage,
  appState: AppState,
  netInfo: NetInfo,
  notifications,
  sandbox: __DEV__,
});

// Without a user interface Android can register its account, but not ask for permissions.
RNCallKeep.registerPhoneAccount(callKeepOptions);
RNCallKeep.registerAndroidEvents();
RNCallKeep.setAvailable(true);

/** Asks for the permissions of calls. Call it once the app is on the screen. */
export async function permitCalls(): Promise<void> {
  await RNCallKeep.setup(callKeepOptions).catch(() => undefined); // not now
  RNCallKeep.setAvailable(true);
}
