// A conversation: a header that starts calls and opens the panel, a search, and the messages.
import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { ConversationPanel } from '../later.js';
import { AddMembers } from '../people/add-members.js';
import { PickMembers } from '../people/pick-members.js';
import { Avatar, UserAvatar } from '../ui/avatar.js';
import { Button, IconButton } from '../ui/button.js';
import { useCall, useEvent, useName, useObservable, useSession, useText } from '../use.js';
import { Found, useSearch } from './conversation-list.js';
import { Messages } from './messages.js';

/** The properties of a Conversation. */
export interface ConversationProps {
  conversationID: string;
  /** The sequence of a message to show, as one that was found by a search. */
  seq?: number;
}

/** A conversation with its header. */
export function Conversation(props: ConversationProps): ReactNode {
  return <View key={`${props.conversationID} ${props.seq ?? ''}`} {...props} />;
}

function View({ conversationID, seq }: ConversationProps): ReactNode {
  const s = useSession();
  const t = useText();
  useObservable(s.groups);
  const peer = conversationID.startsWith('c2c_') ? conversationID.slice(4) : '';
  const groupID = peer ? '' : conversationID.slice('group_'.length);
  const group = s.group(groupID);
  const peerName = useName(peer);
  const online = useObservable(s.online)[peer];
  const [picking, setPicking] = useState<'video' | 'audio'>();
  const [open, setOpen] = useState<'add' | 'panel' | 'search'>();
  const [target, setTarget] = useState(seq ? { seq } : undefined);
  const call = (media: 'video' | 'audio', userIDs?: string[]): void => {
    s.calls
      .call(peer ? { userID: peer } : { groupID, userIDs: userIDs ?? [] }, { media })
      .catch((err: unknown) => s.fail(err, 'failed.call'));
  };
  const begin = (media: 'video' | 'audio'): void => (peer ? call(media) : setPicking(media));
  const name = peer ? peerName : group?.name || groupID;
  return (
    <section className="chat" aria-label={t('conversation.with', { name })}>
      <header className="top">
        <IconButton
          icon="back"
          label={t('back')}
          className="round quiet narrow"
          onClick={() => s.navigate({ kind: 'chat' })}
        />
        <button type="button" className="who" onClick={() => setOpen('panel')}>
          {peer ? <UserAvatar userID={peer} size={40} /> : <Avatar id={groupID} name={name} square size={40} />}
          <span className="title">
            <h1>{name}</h1>
            <span className="muted">
              {peer
                ? t(online ? 'presence.online' : 'presence.away')
                : group
                  ? t('members.count', { count: group.members })
                  : ''}
            </span>
          </span>
          <span className="hidden-text">{t('conversation.panel')}</span>
        </button>
        <IconButton
          icon="search"
          label={t('search.here')}
          onClick={() => setOpen(open === 'search' ? undefined : 'search')}
        />
        {groupID && <IconButton icon="add" label={t('members.add')} onClick={() => setOpen('add')} />}
        <IconButton icon="phone" label={t('call.voice')} onClick={() => begin('audio')} />
        <IconButton icon="video" label={t('call.video')} tone="main" onClick={() => begin('video')} />
      </header>
      {group?.notification && (
        <p className="notice" dir="auto">
          {group.notification}
        </p>
      )}
      <CallInProgress conversationID={conversationID} />
      {open === 'search' && <SearchHere conversationID={conversationID} onFound={(seq) => setTarget({ seq })} />}
      <Messages conversationID={conversationID} onCall={(media) => begin(media)} {...(target ? { target } : {})} />
      {open === 'add' && <AddMembers groupID={groupID} onClose={() => setOpen(undefined)} />}
      {open === 'panel' && <ConversationPanel conversationID={conversationID} onClose={() => setOpen(undefined)} />}
      {picking && (
        <PickMembers
          groupID={groupID}
          title={t('call.pick')}
          action={t('call.do')}
          without={[]}
          onPick={(users) => call(picking, users)}
          onClose={() => setPicking(undefined)}
        />
      )}
    </section>
  );
}

/** A search in one conversation. */
function SearchHere({
  conversationID,
  onFound,
}: {
  conversationID: string;
  onFound: (seq: number) => void;
}): ReactNode {
  const t = useText();
  const [text, setText] = useState('');
  const found = useSearch(text, conversationID);
  return (
    <div className="search-here">
      <input
        type="search"
        autoFocus
        value={text}
        placeholder={t('search.here')}
        aria-label={t('search.here')}
        onChange={(e) => setText(e.target.value)}
      />
      {found && <Found list={found} onOpen={(_, seq) => onFound(seq)} />}
    </div>
  );
}

/** A banner to join the call of this conversation that this user has left or missed and that is still in progress. */
function CallInProgress({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  const [call, set] = useState<Schemas['Call']>();
  const { phase } = useCall();
  const link = useObservable(s.link);
  const load = useCallback(async () => {
    const { calls } = await s.client.listCalls({ open: true, limit: 20 });
    const here = calls.find(
      (c) =>
        !c.roomID.startsWith('group_') &&
        (c.groupID
          ? `group_${c.groupID}` === conversationID
          : `c2c_${c.inviter === s.me ? c.invitee : c.inviter}` === conversationID),
    );
    const found = here && (await s.client.getCall({ callID: here.callID })).call;
    const others = found?.people?.some((p) => p.userID !== s.me && !p.left);
    const mine = found?.people?.find((p) => p.userID === s.me);
    set(found && others && mine?.left && !found.ended ? found : undefined);
  }, [s, conversationID]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const scheduleLoads = useCallback(() => {
    const loadAfter = ([wait, ...more]: number[]): void => {
      clearTimeout(timer.current);
      if (wait)
        timer.current = setTimeout(() => {
          load()
            .catch(() => undefined)
            .finally(() => loadAfter(more));
        }, wait);
    };
    loadAfter([500, 2500]); // leaves reach the call record with a delay
  }, [load]);
  useEffect(() => {
    if (link === 'connected' && phase === 'idle') scheduleLoads();
    return () => clearTimeout(timer.current);
  }, [link, phase, scheduleLoads]);
  useEvent('onCallRecord', ({ call: ended }) => {
    if (ended.roomID === call?.roomID) set(undefined);
  });
  if (!call || phase !== 'idle') return null;
  const rejoin = (): void => {
    s.calls.rejoin({ roomID: call.roomID }).catch((err: unknown) => {
      s.fail(err, 'failed.join');
      scheduleLoads();
    });
  };
  return (
    <div className="banner" role="status">
      <span>{t('call.inProgress')}</span>
      <Button tone="main" onClick={rejoin}>
        {t('join')}
      </Button>
    </div>
  );
}
