import { BeckonError, Code } from './error.js';
import type { Content } from './requests.js';
import type { Schemas } from './schema.js';

export type { Content };

type Message = Schemas['Message'];

const kinds = ['text', 'custom', 'image', 'sound', 'video', 'file', 'location', 'face', 'merged'] as const;

/** Returns the type of a message: that of its body. */
export function kindOf(body: Content): Message['messageType'] {
  return kinds.find((k) => body[k] !== undefined) ?? 'custom';
}

/** Returns the target of a message to a conversation. */
export function targetOf(conversationID: string): { userID: string } | { groupID: string } {
  const of = conversationID.slice(conversationID.indexOf('_') + 1);
  if (conversationID.startsWith('group_')) return { groupID: of };
  if (conversationID.startsWith('c2c_')) return { userID: of };
  throw new BeckonError({
    code: Code.BadParameter,
    field: 'conversationID',
    message: `conversationID is ${conversationID}: it begins with c2c_ or group_`,
  });
}

/** Returns the text by which a list shows a message; its type in brackets when it has none. */
export function previewOf(m: Message): string {
  const text =
    m.text || m.custom?.description || m.location?.description || m.merged?.title || m.file?.name || undefined;
  return text ?? `[${m.messageType}]`;
}

/** Limits of a merged message: messages, lines of its preview, bytes of one text, and of the whole. */
const maxMessages = 300;
const maxAbstracts = 3;
const maxText = 200;
const maxBytes = 12 << 10;

function noContent(): BeckonError {
  return new BeckonError({
    code: Code.BadParameter,
    field: 'message',
    message: 'the message was revoked, or is a call record, and cannot be forwarded',
  });
}

/** Returns the content of a message, to send it to another conversation. */
export function forward(m: Message): Content {
  const kind = kinds.find((k) => k in m);
  if (m.revoked || m.call || !kind) throw noContent();
  return { [kind]: m[kind] } as object as Content;
}

/**
 * Returns the content of one message that quotes others as text, in their order: at most 300, and as many as fit into 12
 * KiB. Revoked messages and call records are left out.
 */
export function forwardMerged(title: string, messages: readonly Message[]): Content {
  if (!title) throw new BeckonError({ code: Code.BadParameter, field: 'title', message: 'title is missing' });
  const merged = { title, abstracts: [] as string[], messages: [] as Schemas['Quoted'][] };
  for (const m of messages) {
    if (m.revoked || m.call || merged.messages.length === maxMessages) continue;
    const text = shorten(previewOf(m));
    const quoted = { from: m.from, time: m.time, messageType: m.messageType, text };
    merged.messages.push(quoted);
    const lines = merged.abstracts;
    if (lines.length < maxAbstracts) merged.abstracts = [...lines, `${m.from}: ${text}`];
    if (encodedSize({ merged }) > maxBytes) {
      merged.messages.pop();
      merged.abstracts = lines;
      break;
    }
  }
  if (!merged.messages.length) throw noContent();
  return { merged };
}

/** Returns the size of JSON as the server counts it: it writes &, <, > and two line separators in six bytes. */
function encodedSize(value: object): number {
  const json = JSON.stringify(value);
  return new TextEncoder().encode(json.replace(/[&<>\u2028\u2029]/g, '\\u0000')).length;
}

/** Cuts a text to maxText bytes, between characters. */
function shorten(text: string): string {
  const bytes = new TextEncoder();
  if (bytes.encode(text).length <= maxText) return text;
  let short = '';
  let length = 0;
  for (const c of text) {
    if ((length += bytes.encode(c).length) > maxText) break;
    short += c;
  }
  return `${short}…`;
}
