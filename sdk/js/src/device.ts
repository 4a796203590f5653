import { readJSON, storageOf, writeJSON, type Storage } from './storage.js';

/** Device is which device this is, and where what belongs to it is kept. */
export interface Device {
  id: string;
  storage: Storage | undefined;
}

const deviceKey = 'beckon.device';
const devicesKey = 'beckon.devices';
const maxDevices = 20;

/** lock takes a lock for as long as the tab is open and reports whether it was free. */
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

/**
 * deviceOfTab returns the device of this tab: its own over reloads, else one of a tab that was closed, else a new one. A lock makes
 * sure that two open tabs, also a copied one, are never the same device. Where there are no locks, the device lives as long as the tab.
 */
export async function deviceOfTab(fresh: string): Promise<Device> {
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
