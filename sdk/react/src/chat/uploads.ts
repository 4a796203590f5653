import { useState } from 'react';
import type { FileKind } from 'beckon';
import type { Content } from 'beckon/inbox';
import { useSession } from '../use.js';

/** An upload in progress. */
export interface Upload {
  id: number;
  name: string;
  share: number; // 0 to 1
  cancel: () => void;
}

/** More about a file that is sent. */
export interface About {
  /** Of a voice message, in milliseconds. */
  duration?: number;
  replyTo?: string;
}

let uploads = 0;

/** Returns the kind of the message for a file. */
export function kindOfFile(file: Blob): FileKind {
  const kind = file.type.split('/')[0];
  return kind === 'image' || kind === 'video' ? kind : 'file';
}

/** Uploads files to a conversation, and sends them as messages. */
export function useUploads(conversationID: string): {
  list: Upload[];
  send: (file: Blob, kind: FileKind, name: string, about: About) => Promise<void>;
} {
  const s = useSession();
  const [list, set] = useState<Upload[]>([]);
  const send = async (file: Blob, kind: FileKind, name: string, { duration, replyTo }: About): Promise<void> => {
    const stop = new AbortController();
    const id = ++uploads;
    const share = (share: number): void => set((all) => all.map((u) => (u.id === id ? { ...u, share } : u)));
    set((all) => [...all, { id, name, share: 0, cancel: () => stop.abort() }]);
    try {
      const { fileID } = await s.client.uploadFile({
        ...{ body: file, kind, name, signal: stop.signal },
        onProgress: (sent, total) => share(total ? sent / total : 0),
      });
      const elem = { fileID, ...(name ? { name } : {}), ...(duration ? { duration } : {}) };
      const content = { [kind]: elem, ...(replyTo ? { replyTo } : {}) } as Content;
      s.inbox.send(conversationID, content).catch(() => undefined); // shown as unsent
    } catch (err) {
      if (!stop.signal.aborted) s.fail(err, 'failed.upload');
    } finally {
      set((all) => all.filter((u) => u.id !== id));
    }
  };
  return { list, send };
}
