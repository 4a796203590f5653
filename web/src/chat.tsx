import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Messages } from './messages.js';
import { AddMembers, PickMembers } from './people.js';
import { Avatar, Button, IconButton, UserAvatar } from './ui.js';
import { go, useCall, useEvent, useName, useSession, useObservable } from './use.js';

/** A conversation, with a header that starts calls. */
export function Chat({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
  useObservable(s.groups);
  const peer = conversationID.startsWith('c2c_') ? conversationID.slice(4) : '';
  const groupID = peer ? '' : conversationID.slice('group_'.length);
  const group = s.group(groupID);
  const peerName = useName(peer);
  const online = useObservable(s.online)[peer];
  const [picking, setPicking] = useState<'video' | 'audio'>();
  const [adding, setAdding] = useState(false);
  const call = (media: 'video' | 'audio', userIDs?: string[]): void => {
    s.calls
      .call(peer ? { userID: peer } : { groupID, userIDs: userIDs ?? [] }, { media })
      .catch((err: unknown) => s.fail(err, 'The call could not be made'));
  };
  const begin = (media: 'video' | 'audio'): void => (peer ? call(media) : setPicking(media));
  return (
    <section className="chat" aria-label={`Conversation with ${peer ? peerName : (group?.name ?? groupID)}`}>
      <header className="top">
        <IconButton icon="back" label="Back to the list" className="round quiet narrow" onClick={() => go('chat')} />
        {peer ? (
          <UserAvatar userID={peer} size={40} />
        ) : (
          <Avatar id={groupID} name={group?.name || groupID} square size={40} />
        )}
        <div className="title">
          <h1>{peer ? peerName : group?.name || groupID}</h1>
          <span className="muted">{peer ? (online ? 'online' : 'away') : group ? `${group.members} people` : ''}</span>
        </div>
        {groupID && <IconButton icon="add" label="Add people to the group" onClick={() => setAdding(true)} />}
        <IconButton icon="phone" label="Voice call" onClick={() => begin('audio')} />
        <IconButton icon="video" label="Video call" tone="main" onClick={() => begin('video')} />
      </header>
      <CallInProgress conversationID={conversationID} />
      <Messages conversationID={conversationID} onCall={(media) => begin(media)} />
      {adding && <AddMembers groupID={groupID} onClose={() => setAdding(false)} />}
      {picking && (
        <PickMembers
          groupID={groupID}
          title="Whom do you want to call?"
          action="Call"
          without={[]}
          onPick={(users) => call(picking, users)}
          onClose={() => setPicking(undefined)}
        />
      )}
    </section>
  );
}

/** A banner to rejoin the call of this conversation that this user has left and that is still in progress. */
function CallInProgress({ conversationID }: { conversationID: string }): ReactNode {
  const s = useSession();
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
  return (
    <div className="banner" role="status">
      <span>Call in progress</span>
      <Button
        tone="main"
        onClick={() => {
          s.calls.rejoin({ roomID: call.roomID }).catch((err: unknown) => {
            s.fail(err, 'You could not join the call');
            scheduleLoads();
          });
        }}
      >
        Join
      </Button>
    </div>
  );
}
