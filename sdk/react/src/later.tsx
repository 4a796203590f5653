// Components that are loaded when they are first shown: they are large, and many pages do without them.
import { lazy, Suspense, type ComponentType, type ReactNode } from 'react';

function later<P extends object>(load: () => Promise<ComponentType<P>>): (props: P) => ReactNode {
  const Lazy = lazy(async () => ({ default: await load() })) as unknown as ComponentType<P>;
  return function Later(props: P): ReactNode {
    return (
      <Suspense fallback={null}>
        <Lazy {...props} />
      </Suspense>
    );
  };
}

/** A conversation with its header. */
export const Conversation = later(async () => (await import('./chat/conversation.js')).Conversation);

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

/** The dialog that joins a group, or asks to: of a link to a group. */
export const JoinGroup = later(async () => (await import('./people/join-group.js')).JoinGroup);

/** The call in progress. */
export const Ongoing = later(async () => (await import('./call/ongoing.js')).Ongoing);
