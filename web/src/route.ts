// The addresses of pages, after the # of the address.
import { useEffect, useState } from 'react';

/** Returns the parts of the address after #. */
export function useRoute(): string[] {
  const read = (): string => location.hash.slice(2);
  const [hash, set] = useState(read);
  useEffect(() => {
    const changed = (): void => set(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  try {
    return hash.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // malformed percent-encoding
  }
}

/** Opens the page with an address. */
export function go(...parts: string[]): void {
  location.hash = `#/${parts.map(encodeURIComponent).join('/')}`;
}
