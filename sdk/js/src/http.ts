import { BeckonError } from './error.js';
import type { Schemas } from './schema.js';

/** HTTP is the server and the credentials for HTTP requests. */
export interface HTTP {
  server: string;
  token: string;
  deviceID: string;
}

export type FileKind = 'image' | 'sound' | 'video' | 'file';

function headers({ token, deviceID }: HTTP, type: string): Record<string, string> {
  return { Authorization: `Bearer ${token}`, 'Content-Type': type, 'Beckon-Device': deviceID };
}

/** Sends a call that outlives the page. The response is dropped. */
export function post(to: HTTP, method: string, body: object): void {
  void fetch(`${to.server}/v1/${method}`, {
    method: 'POST',
    keepalive: true,
    headers: headers(to, 'application/json'),
    body: JSON.stringify(body),
  }).catch(() => undefined);
}

/** Uploads a file. */
export async function upload(
  to: HTTP,
  body: Blob | Uint8Array,
  kind: FileKind,
  name: string,
): Promise<Schemas['UploadResponse']> {
  const type = body instanceof Blob && body.type ? body.type : 'application/octet-stream';
  const res = await fetch(`${to.server}/v1/files?kind=${kind}&name=${encodeURIComponent(name)}`, {
    method: 'POST',
    body: body as BodyInit,
    headers: headers(to, type),
  });
  const answer = (await res.json()) as Schemas['UploadResponse'] & Schemas['Error'];
  if (!res.ok) throw new BeckonError(answer);
  return answer;
}
