/** The data field of the invitations that these components send. */
export interface Scene {
  call?: 1;
  media?: 'video' | 'audio';
  join?: string;
  scene?: 'hands' | 'lower' | 'speak' | 'mic';
  text?: string;
}

/** Reads the data field of an invitation; that of another application is an empty object. */
export function readScene(data: string | undefined): Scene {
  try {
    const value: unknown = JSON.parse(data || '{}');
    return value && typeof value === 'object' ? (value as Scene) : {};
  } catch {
    return {};
  }
}
