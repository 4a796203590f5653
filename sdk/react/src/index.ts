// Components and hooks for Beckon: see README.md.
export { BeckonProvider, type ProviderProps } from './provider.js';
export {
  Session,
  type Action,
  type Link,
  type Place,
  type Profile,
  type SessionOptions,
  type Toast,
} from './session.js';
export {
  useCall,
  useCovered,
  useEvent,
  useName,
  useNow,
  useObservable,
  useSession,
  useText,
  useTranslator,
  duration,
} from './use.js';
export { Observable } from './observable.js';
export {
  directionOf,
  Formatter,
  languageOf,
  localeOf,
  Translator,
  type Language,
  type TextKey,
  type Texts,
  type TextValues,
} from './text/text.js';

export { ConversationList, type ConversationListProps } from './chat/conversation-list.js';
export type { ConversationProps } from './chat/conversation.js';
export { Messages, MessageList, type MessageListProps, type MessagesProps } from './chat/messages.js';
export { Composer, type ComposerProps } from './chat/composer.js';
export { TypingLine } from './chat/typing.js';
export { GroupList, type GroupListProps } from './chat/group-list.js';

export { CallLayer } from './call/call.js';
export { CallButton, type CallButtonProps } from './call/call-button.js';
export { DevicePicker, type DevicePickerProps } from './call/devices.js';
export { Tile, useLocal, useRemote } from './call/tiles.js';

export type { JoinGroupProps } from './people/join-group.js';
export { AddMembers } from './people/add-members.js';
export { PickMembers } from './people/pick-members.js';
export type { SettingsProps } from './people/settings.js';

export { ChatRoom, Classroom, Conversation, ConversationPanel, JoinGroup, NewConversation, Settings } from './later.js';

export { Avatar, Name, UserAvatar } from './ui/avatar.js';
export { Button, IconButton } from './ui/button.js';
export { Dialog } from './ui/dialog.js';
export { Empty } from './ui/empty.js';
export { Icon, type IconName } from './ui/icon.js';
