import { readJSON, storageOf, writeJSON, type Storage } from './storage.js';

/** Device is the identity of this device, and the storage of its data. */
export interface Device {
  id: string;
  storage: Storage | undefined;
}

const deviceKey = 'beckon.device';
const devicesKey = 'beckon.devices';
const maxDevices = 20;

/** lock takes a lock until the tab closes, and reports whether it was free. */
function lock(id: string): Promise<boolean> {
  return new Promise((resolve) => {
    navigator.locks
      .request(`${deviceKey}.${id}`, { ifAvailable: true }, (got) => {
        resolve(got !== null);
        return got ? new Promise(() => {}) : undefined;
      })
      .catch(() => resolve(false));
  });
}

/** The device of this page, also for other copies of this module in it. */
const ofPage = Symbol.for('beckon.device');

/**
 * deviceOfTab returns the device of this tab, the same for all its clients and over reloads: else that of a closed tab,
 * else a new one. A lock prevents two open tabs, also duplicated ones, from being the same device. Without locks, the
 * device lives as long as the tab. Outside of pages each client has a new one.
 */
export function deviceOfTab(fresh: string): Promise<Device> {
  if (typeof document === 'undefined') return takeDevice(fresh);
  const page = globalThis as { [ofPage]?: Promise<Device> };
  page[ofPage] ??= takeDevice(fresh).catch((err: unknown) => {
    delete page[ofPage]; // the next connect tries again
    throw err;
  });
  return page[ofPage];
}

async function takeDevice(fresh: string): Promise<Device> {
  const session = storageOf('sessionStorage');
  let own: string | null | undefined;
  try {
    own = session?.getItem(deviceKey);
  } catch {
    // no storage
  }
  let id = own ?? fresh;
  let storage = session;
  if (typeof navigator !== 'undefined' && navigator.locks) {
    storage = storageOf('localStorage');
    const known = readJSON<string[]>(storage, devicesKey) ?? [];
    for (const candidate of [...(own ? [own] : []), ...known, fresh]) {
      id = candidate;
      if (await lock(candidate)) break;
    }
    writeJSON(storage, devicesKey, [id, ...known.filter((k) => k !== id)].slice(0, maxDevices));
  }
  try {
    session?.setItem(deviceKey, id);
  } catch {
    // no storage
  }
  return { id, storage };
}
