// The session of the user of this device.
import AsyncStorage from '@react-native-async-storage/async-storage';
import { Client } from 'beckon';
import { LoadedStorage } from 'beckon/native';
import { Platform } from 'react-native';
import { getToken, server } from './config';
import { phone } from './phone';

const userKey = 'user';

/** Connects as a user, and registers this device for pushes. */
export async function signIn(userID: string): Promise<Client> {
  await AsyncStorage.setItem(userKey, userID);
  const storage = await LoadedStorage.load(AsyncStorage);
  const token = (): Promise<string> => getToken(userID);
  const client = new Client({ server, token, storage, deviceID: storage.deviceID, platform: Platform.OS });
  phone.attach(client);
  void client.connect();
  return client;
}

/** Connects as the user of the last run; undefined when nobody is signed in. */
export async function resume(): Promise<Client | undefined> {
  const userID = await AsyncStorage.getItem(userKey);
  return userID ? signIn(userID) : undefined;
}

/** Ends the session. Pushes for the user are ignored from now on, also if the server cannot be reached. */
export async function signOut(client: Client): Promise<void> {
  await AsyncStorage.removeItem(userKey);
  await phone.signOut().finally(() => client.close());
}
