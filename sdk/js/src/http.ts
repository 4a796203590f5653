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

/** A file to upload. */
export interface Upload {
  body: Blob | Uint8Array;
  kind: FileKind;
  /** The shown name, at most 255 bytes. Default: none. */
  name?: string | undefined;
  /** Media type, if it cannot be detected from the content. Default: that of a Blob. */
  type?: string | undefined;
  /** Cancels the upload: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called with the bytes sent so far, and the size of the file. */
  onProgress?: ((sent: number, total: number) => void) | undefined;
}

/** Uploads a file. */
export async function upload(to: HTTP, file: Upload): Promise<Schemas['UploadResponse']> {
  const { body, kind, name = '' } = file;
  const type = file.type || (body instanceof Blob && body.type) || 'application/octet-stream';
  const url = `${to.server}/v1/files?kind=${kind}&name=${encodeURIComponent(name)}`;
  const send = file.onProgress && typeof XMLHttpRequest !== 'undefined' ? sendByXHR : sendByFetch;
  const res = await send(url, headers(to, type), file);
  const answer = JSON.parse(res.text) as Schemas['UploadResponse'] & Schemas['Error'];
  if (!res.ok) throw new BeckonError(answer);
  return answer;
}

type Reply = { ok: boolean; text: string };

async function sendByFetch(url: string, head: Record<string, string>, file: Upload): Promise<Reply> {
  const { body, signal, onProgress } = file;
  const total = body instanceof Blob ? body.size : body.length;
  onProgress?.(0, total);
  const res = await fetch(url, { method: 'POST', body: body as BodyInit, headers: head, signal: signal ?? null });
  onProgress?.(total, total);
  return { ok: res.ok, text: await res.text() };
}

/** Sends by XMLHttpRequest, which reports progress; fetch does not. */
function sendByXHR(url: string, head: Record<string, string>, file: Upload): Promise<Reply> {
  const { body, signal, onProgress } = file;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const x = new XMLHttpRequest();
    x.open('POST', url);
    for (const [name, value] of Object.entries(head)) x.setRequestHeader(name, value);
    x.upload.onprogress = (e) => onProgress?.(e.loaded, e.total);
    x.onload = () => resolve({ ok: x.status === 200, text: x.responseText });
    x.onerror = () => reject(new TypeError('the upload failed: the server cannot be reached'));
    x.onabort = () => reject(signal?.reason as Error);
    const abort = (): void => x.abort();
    signal?.addEventListener('abort', abort);
    x.onloadend = () => signal?.removeEventListener('abort', abort);
    x.send(body as XMLHttpRequestBodyInit);
  });
}
