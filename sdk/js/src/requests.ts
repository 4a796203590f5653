// The requests of methods whose fields exclude each other: what the server refuses in any case does not compile.
import type { Schemas } from './schema.js';

/** T, whose optional fields take undefined also under exactOptionalPropertyTypes. A call leaves such a field out. */
export type Loose<T> = T extends readonly (infer E)[]
  ? Loose<E>[]
  : T extends object
    ? { [K in keyof T]: string extends K ? T[K] : object extends Pick<T, K> ? Loose<T[K]> | undefined : Loose<T[K]> }
    : T;

/** Without the fields K. */
type No<K extends PropertyKey> = { [F in K]?: undefined };

/** Exactly one of the fields K of T. */
type One<T, K extends keyof T> = { [F in K]: { [P in F]-?: Exclude<T[P], undefined> } & No<Exclude<K, F>> }[K];

type Invite = Loose<Schemas['InviteRequest']>;
type InviteInGroup = Loose<Schemas['InviteInGroupRequest']>;
type Send = Loose<Schemas['SendMessageRequest']>;
type Modify = Loose<Schemas['ModifyMessageRequest']>;
type Disturb = Loose<Schemas['DoNotDisturb']>;
type Token = Loose<Schemas['SetPushTokenRequest']>;

type WebPush = 'webPush' | 'unifiedPush';

/** The terms of an invitation that takes answers. A notice takes none. */
type Terms = 'timeout' | 'minRing' | 'acceptLimit' | 'mergeGlare';
type Answers = { notice?: false | undefined } | ({ notice: boolean } & No<Terms>);

type Kind = 'text' | 'custom' | 'image' | 'sound' | 'video' | 'file' | 'location' | 'face' | 'merged';
type Body<T extends Pick<Send, Kind>> = One<T, Kind> & No<'call'>;

/** Options of messages to groups only. */
type GroupOptions = 'mentions' | 'mentionAll' | 'receiverList' | 'needReadReceipt';

/** The content and options of a message, as of sendMessage without its target and IDs. */
export type Content = Body<Send> & Omit<Send, Kind | 'call' | 'userID' | 'groupID' | 'messageID' | 'requestID'>;

/** The requests that differ from the description of the server. */
export interface Requests {
  invite: Omit<Invite, 'invitee' | 'inviteeList' | 'notice'> &
    ((One<Invite, 'invitee'> & No<'inviteeList'>) | (One<Invite, 'inviteeList'> & No<'invitee' | 'mergeGlare'>)) &
    Answers;
  inviteInGroup: Omit<InviteInGroup, 'everyone' | 'inviteeList' | 'notice'> &
    (({ everyone: true } & No<'inviteeList'>) | { everyone?: false | undefined; inviteeList: string[] }) &
    Answers;
  sendMessage: Content &
    Pick<Send, 'messageID' | 'requestID'> &
    (({ userID: string } & No<'groupID' | GroupOptions>) | ({ groupID: string } & No<'userID'>));
  modifyMessage: Omit<Modify, Kind | 'call' | 'customData'> &
    ((Body<Modify> & Pick<Modify, 'customData'>) | ({ customData: string } & No<Kind | 'call'>));
  setDoNotDisturb: Omit<Disturb, 'dailyFrom' | 'dailyUntil'> &
    (No<'dailyFrom' | 'dailyUntil'> | { dailyFrom: string; dailyUntil: string });
  setPushToken: Omit<Token, 'provider' | 'token' | 'subscription'> &
    (
      | ({ provider: WebPush } & One<Token, 'subscription'> & No<'token'>)
      | ({ provider: Exclude<Token['provider'], WebPush> } & One<Token, 'token'> & No<'subscription'>)
    );
}
