// The dialog of an invite link: it joins a group, or applies to.
import { useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Avatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useObservable, useSession, useText } from '../use.js';

/** The properties of JoinGroup. */
export interface JoinGroupProps {
  groupID: string;
  onClose: () => void;
}

export function JoinGroup({ groupID, onClose }: JoinGroupProps): ReactNode {
  const s = useSession();
  const t = useText();
  const groups = useObservable(s.groups);
  const [group, set] = useState<Schemas['Group']>();
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    s.client.getGroupsInfo({ groupIDList: [groupID] }).then(
      ({ groups: [g] }) => (g ? set(g) : setWrong(s.text('join.unknown'))),
      (err: unknown) => setWrong(s.reason(err)),
    );
  }, [s, groupID]);
  const open = async (): Promise<void> => {
    await s.refresh();
    onClose();
    if (group?.type === 'Work') s.navigate({ kind: 'chat', id: `group_${groupID}` });
    else s.navigate({ kind: group?.type === 'AVChatRoom' ? 'room' : 'class', id: groupID });
  };
  const join = async (): Promise<void> => {
    try {
      const { applied } = await s.client.joinGroup({ groupID });
      if (!applied) return await open();
      s.toast(t('join.asked'));
      onClose();
    } catch (err) {
      setWrong(s.reason(err));
    }
  };
  const member = groups?.some((g) => g.groupID === groupID) ?? false;
  const name = group?.name || groupID;
  return (
    <Dialog title={t('join.title')} onClose={onClose}>
      <div className="profile">
        <Avatar id={groupID} name={name} square size={72} />
        <h3>{name}</h3>
        {group && <p className="muted">{t('members.count', { count: group.members })}</p>}
      </div>
      <p className="wrong" role="alert">
        {wrong}
      </p>
      {group && (
        <Button tone="main" onClick={() => void (member ? open() : join())}>
          {t(member ? 'join.open' : group.joinOption === 'approval' ? 'join.ask' : 'join')}
        </Button>
      )}
    </Dialog>
  );
}
