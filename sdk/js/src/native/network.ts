import type { Client } from '../client.js';
import type { AppState, NetInfo } from './boundary.js';

/**
 * Checks the connection of a client when the app comes to the foreground, and when the network changes: a dead
 * connection may show no end. The returned function ends it.
 */
export function checkOnChange(client: Client, appState?: AppState, netInfo?: NetInfo): () => void {
  const check = (): void => void client.checkConnection();
  const state = appState?.addEventListener('change', (s) => {
    if (s === 'active') check();
  });
  let network: string | undefined; // NetInfo reports the current network first
  const unsubscribe = netInfo?.addEventListener(({ type, isConnected }) => {
    const now = `${type} ${isConnected}`;
    if (network !== undefined && network !== now && isConnected !== false) check();
    network = now;
  });
  return () => {
    state?.remove();
    unsubscribe?.();
  };
}
