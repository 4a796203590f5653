// The panel of a conversation: pin, mute, block, clear; of a group also its details, members and applications.
import { useCallback, useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useObservable, useSession, useText } from '../use.js';
import { InviteLink } from './invite-link.js';
import { GroupSettings } from './group-settings.js';
import { Members } from './members.js';

export function ConversationPanel({
  conversationID,
  onClose,
}: {
  conversationID: string;
  onClose: () => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const list = useObservable(s.conversations);
  const c = list?.find((x) => x.conversationID === conversationID);
  const peer = conversationID.startsWith('c2c_') ? conversationID.slice(4) : '';
  const groupID = peer ? '' : conversationID.slice('group_'.length);
  const pin = (): void => {
    s.client.pinConversation({ conversationID, pin: !c?.pinned }).catch((err: unknown) => s.fail(err, 'failed.change'));
  };
  const muted = c?.receiveOption === 'nothing';
  const mute = (): void => {
    s.client
      .setReceiveOption({ conversationID, receiveOption: muted ? 'notify' : 'nothing' })
      .catch((err: unknown) => s.fail(err, 'failed.change'));
  };
  const clear = (): void => {
    if (!confirm(t('panel.clearSure'))) return;
    s.client.clearHistory({ conversationID }).catch((err: unknown) => s.fail(err, 'failed.change'));
  };
  const remove = (): void => {
    s.client.deleteConversation({ conversationID }).then(
      () => {
        onClose();
        s.navigate({ kind: 'chat' });
      },
      (err: unknown) => s.fail(err, 'failed.change'),
    );
  };
  return (
    <Dialog title={t('conversation.panel')} className="panel-dialog" onClose={onClose}>
      {peer && <Peer userID={peer} />}
      <div className="switches">
        <label>
          <input type="checkbox" checked={c?.pinned ?? false} onChange={pin} /> {t('panel.pin')}
        </label>
        <label>
          <input type="checkbox" checked={muted} onChange={mute} /> {t('panel.mute')}
        </label>
        {peer && <Block userID={peer} />}
      </div>
      {groupID && <GroupPart groupID={groupID} onClose={onClose} />}
      <div className="acts">
        <Button onClick={clear}>{t('panel.clear')}</Button>
        <Button onClick={remove}>{t('panel.remove')}</Button>
      </div>
    </Dialog>
  );
}

/** The profile of the other user. */
function Peer({ userID }: { userID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  const [profile, set] = useState<Schemas['Profile']>();
  useEffect(() => {
    s.client.getUsersInfo({ userIDList: [userID] }).then(
      ({ profiles }) => set(profiles[0]),
      () => undefined, // the name is shown
    );
  }, [s, userID]);
  return (
    <div className="profile">
      <UserAvatar userID={userID} size={72} />
      <h3>
        <Name id={userID} />
      </h3>
      <p className="muted">{t('profile.id', { id: userID })}</p>
      {profile?.signature && <p dir="auto">{profile.signature}</p>}
    </div>
  );
}

/** The switch that blocks a user. */
function Block({ userID }: { userID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  const [blocked, set] = useState<boolean>();
  useEffect(() => {
    s.client.getBlackList({ limit: 100 }).then(
      ({ userIDList }) => set(userIDList.includes(userID)),
      (err: unknown) => s.fail(err, 'failed.blocked'),
    );
  }, [s, userID]);
  const toggle = (): void => {
    const request = { userIDList: [userID] };
    (blocked ? s.client.deleteFromBlackList(request) : s.client.addToBlackList(request)).then(
      () => set(!blocked),
      (err: unknown) => s.fail(err, 'failed.change'),
    );
  };
  return (
    <label>
      <input type="checkbox" checked={blocked ?? false} disabled={blocked === undefined} onChange={toggle} />{' '}
      {t('panel.block')}
    </label>
  );
}

/** The settings and members of a group. */
function GroupPart({ groupID, onClose }: { groupID: string; onClose: () => void }): ReactNode {
  const s = useSession();
  const [group, setGroup] = useState<Schemas['Group']>();
  const [members, setMembers] = useState<Schemas['Member'][]>([]);
  const load = useCallback(() => {
    Promise.all([s.client.getGroup({ groupID }), s.client.getGroupMemberList({ groupID, limit: 200 })]).then(
      ([g, m]) => {
        setGroup(g.group);
        setMembers(m.members);
      },
      (err: unknown) => s.fail(err, 'failed.members'),
    );
  }, [s, groupID]);
  useEffect(() => {
    load();
    return s.client.on('onGroup', (e) => {
      if (e.groupID === groupID) load();
    });
  }, [s, groupID, load]);
  if (!group) return null;
  const role = members.find((m) => m.userID === s.me)?.role ?? 200;
  return (
    <>
      <GroupSettings group={group} role={role} onChange={load} onLeft={onClose} />
      {group.type !== 'Work' && <InviteLink groupID={groupID} />}
      <Members group={group} members={members} role={role} onChange={load} />
    </>
  );
}
