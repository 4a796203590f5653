/** Fills bytes at random. React Native has no crypto; the IDs need to be unique, not secret. */
function fill(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { crypto } = globalThis as { crypto?: Crypto };
  return crypto?.getRandomValues?.(bytes) ?? bytes.map(() => Math.floor(Math.random() * 256));
}

/** Returns a new ID, for invitations, messages and requests. */
export function newID(): string {
  const bytes = fill(new Uint8Array(16));
  new DataView(bytes.buffer).setUint32(0, Math.floor(Date.now() / 0x10000));
  new DataView(bytes.buffer).setUint16(4, Date.now() & 0xffff);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f); // version 7 of RFC 9562, which sorts by time
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
