// Components that are loaded when they are first shown: they are large, and many pages do without them.
import { useEffect, useState, type ComponentType, type ReactNode } from 'react';
import { useSession } from './use.js';

/** Returns a component that is loaded when it is shown. A failure is shown as a notice; the page stays usable. */
function later<P extends object>(load: () => Promise<ComponentType<P>>): (props: P) => ReactNode {
  let loaded: ComponentType<P> | undefined;
  return function Later(props: P): ReactNode {
    const s = useSession();
    const [Component, set] = useState<ComponentType<P> | undefined>(() => loaded);
    useEffect(() => {
      if (Component) return;
      let current = true;
      load().then(
        (c) => {
          loaded = c;
          if (current) set(() => c);
        },
        (err: unknown) => current && s.fail(err, 'failed.load'),
      );
      return () => {
        current = false;
      };
    }, [Component, s]);
    return Component ? <Component {...props} /> : null;
  };
}

/** A conversation with its header. */
export const Conversation = later(async () => (await import('./chat/conversation.js')).Conversation);

/** Emoji in groups. */
export const EmojiPicker = later(async () => (await import('./chat/emoji.js')).EmojiPicker);

/** A classroom: students raise hands on a question of the teacher, and the teacher lets one speak. */
export const Classroom = later(async () => (await import('./rooms/classroom.js')).Classroom);

/** A chat room with seats: users request the microphone, the host grants and revokes it. */
export const ChatRoom = later(async () => (await import('./rooms/chat-room.js')).ChatRoom);

/** The dialog with the settings of this user. */
export const Settings = later(async () => (await import('./people/settings.js')).Settings);

/** The panel of a conversation: pin, mute, block, clear; of a group also its details, members and applications. */
export const ConversationPanel = later(async () => (await import('./people/conversation-panel.js')).ConversationPanel);

/** The dialog that opens a conversation or creates a group. */
export const NewConversation = later(async () => (await import('./people/new-conversation.js')).NewConversation);

/** The dialog of an invite link: it joins a group, or applies to. */
export const JoinGroup = later(async () => (await import('./people/join-group.js')).JoinGroup);

const loadOngoing = async () => (await import('./call/ongoing.js')).Ongoing;

/** The call in progress. */
export const Ongoing = later(loadOngoing);

/** Loads the call in progress while it rings. */
export function preloadOngoing(): void {
  loadOngoing().catch(() => undefined); // loaded again when it is shown
}
