// The UUID of a call: CallKit names calls by UUIDs, and invitation IDs have another form.

/** The namespace of invitations. The app's native code has the same one. */
const namespace = [0xb5, 0xc1, 0x5f, 0x3e, 0x37, 0x0e, 0x4b, 0x6c, 0x9a, 0x52, 0x2d, 0x0b, 0x6b, 0x9f, 0x18, 0xe4];

/**
 * Returns the UUID of an invitation: version 5 of RFC 9562, the SHA-1 of a namespace and the inviteID. It is the same on
 * each device and after each restart, and native code computes it before JavaScript runs.
 */
export function uuidOf(inviteID: string): string {
  const name = [...inviteID].map((c) => c.charCodeAt(0)); // ASCII
  const bytes = sha1([...namespace, ...name]).slice(0, 16);
  bytes[6] = 0x50 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.map((b) => b.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const rotate = (x: number, n: number): number => (x << n) | (x >>> (32 - n));

/** Returns the SHA-1 of bytes. React Native has no crypto.subtle, and a call is shown without waiting. */
function sha1(message: number[]): number[] {
  const padding = (119 - (message.length % 64)) % 64;
  const bits = message.length * 8; // below 2^32 here
  const padded = [...message, 0x80, ...new Array<number>(padding + 4).fill(0), ...bytesOf(bits)];
  const hash = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  for (let at = 0; at < padded.length; at += 64) {
    const w = Array.from({ length: 16 }, (_, i) => wordAt(padded, at + 4 * i));
    for (let i = 16; i < 80; i++) w.push(rotate(w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!, 1));
    let [a, b, c, d, e] = hash as [number, number, number, number, number];
    for (let i = 0; i < 80; i++) {
      const [f, k] = round(i, b, c, d);
      [a, b, c, d, e] = [(rotate(a, 5) + f + e + k + w[i]!) | 0, a, rotate(b, 30), c, d];
    }
    [a, b, c, d, e].forEach((x, i) => (hash[i] = (hash[i]! + x) | 0));
  }
  return hash.flatMap(bytesOf);
}

/** Returns the function and the constant of a step of SHA-1. */
function round(i: number, b: number, c: number, d: number): [f: number, k: number] {
  if (i < 20) return [(b & c) | (~b & d), 0x5a827999];
  if (i < 40) return [b ^ c ^ d, 0x6ed9eba1];
  if (i < 60) return [(b & c) | (b & d) | (c & d), 0x8f1bbcdc];
  return [b ^ c ^ d, 0xca62c1d6];
}

function bytesOf(word: number): number[] {
  return [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff);
}

function wordAt(bytes: number[], at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
