// The dialog that adds members to a group.
import { useState, type FormEvent, type ReactNode } from 'react';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useSession, useText } from '../use.js';
import { useUserIDs } from './user-ids.js';

export function AddMembers({ groupID, onClose }: { groupID: string; onClose: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const members = useUserIDs();
  const [wrong, setWrong] = useState('');
  const add = async (e: FormEvent): Promise<void> => {
    e.preventDefault();
    try {
      const memberList = await members.read(setWrong);
      if (!memberList) return;
      await s.client.inviteUserToGroup({ groupID, memberList });
      s.refreshSoon();
      onClose();
    } catch (err) {
      setWrong(s.reason(err));
    }
  };
  return (
    <Dialog title={t('members.addTitle')} onClose={onClose}>
      <form onSubmit={(e) => void add(e)}>
        <label>
          {t('members.theirIDs')}
          <input
            value={members.text}
            onChange={(e) => members.setText(e.target.value)}
            placeholder="bob, carol"
            autoComplete="off"
            required
          />
        </label>
        <p className="wrong" role="alert">
          {wrong}
        </p>
        <Button tone="main" type="submit">
          {t('members.doAdd')}
        </Button>
      </form>
    </Dialog>
  );
}
