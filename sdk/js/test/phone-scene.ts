// The scene of the tests of beckon/native: a real server that pushes to a stand-in of FCM, a caller, and a killed phone.
import { after, before } from 'node:test';
import { newID, type Client } from '../src/index.js';
import { Cluster } from './cluster.js';
import { FCM } from './fcm.js';
import { Phone } from './phone.js';

interface Server {
  fcm: FCM;
  cluster: Cluster;
  clients: Client[];
}

/** A connected caller, the killed phone of another user, and the ID for an invitation. */
export interface Scene {
  alice: Client;
  phone: Phone;
  bob: string;
  inviteID: string;
  /** Returns a client of the phone, not yet connected. */
  phoneClient: () => Client;
}

/** Starts the server before the tests of a file, and ends it after them. */
export function nativeTests(): {
  server: Server;
  scene: () => Promise<Scene>;
  device: (userID: string) => Promise<Client>;
} {
  const server = { clients: [] as Client[] } as Server;
  before(async () => {
    server.fcm = await FCM.start();
    server.cluster = await Cluster.start(server.fcm.settings);
  });
  after(async () => {
    for (const c of server.clients) c.close();
    await server.cluster.stop();
    server.fcm.stop();
  });
  const client = (userID: string, deviceID = newID()): Client => {
    const c = server.cluster.device(userID, deviceID);
    server.clients.push(c);
    return c;
  };
  /** Returns a connected device of a user. */
  const device = async (userID: string): Promise<Client> => {
    const c = client(userID);
    await c.connect();
    return c;
  };
  const scene = async (): Promise<Scene> => {
    const id = newID();
    const [alice, bob] = [await device(`alice-${id}`), `bob-${id}`];
    const phone = new Phone(server.fcm, `token-${id}`);
    const phoneClient = (): Client => client(bob, `phone-${id}`);
    await install(phone, server.cluster.url, phoneClient());
    while (await online(alice, bob)); // the server notices the end of a connection a moment later
    return { alice, phone, bob, inviteID: `call:${id}`, phoneClient };
  };
  return { server, scene, device };
}

/** Reports whether a user is online. */
async function online(client: Client, userID: string): Promise<boolean> {
  const { statuses } = await client.getUserStatus({ userIDList: [userID] });
  return statuses[0]?.status === 'online';
}

/** Runs the app of a user until its push token is registered, and kills it. */
async function install(phone: Phone, url: string, client: Client): Promise<void> {
  const detach = phone.run(url).attach(client);
  const registered = client.once('onResponse', (e) => e.method === 'setPushToken');
  await client.connect();
  await registered;
  detach();
  client.close();
  phone.run(url);
}
