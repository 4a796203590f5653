// The dialog that opens a conversation or creates a group.
import { useState, type FormEvent, type ReactNode } from 'react';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useSession, useText } from '../use.js';
import { unknownUsers, useUserIDs } from './user-ids.js';

type Kind = 'Work' | 'Public' | 'AVChatRoom';

export function NewConversation({ onClose }: { onClose: () => void }): ReactNode {
  const t = useText();
  return (
    <Dialog title={t('new')} onClose={onClose}>
      <Talk onClose={onClose} />
      <hr />
      <Create onClose={onClose} />
    </Dialog>
  );
}

function Talk({ onClose }: { onClose: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const [userID, setUser] = useState('');
  const [wrong, setWrong] = useState('');
  const [asked, setAsked] = useState('');
  const talk = async (e: FormEvent): Promise<void> => {
    e.preventDefault();
    const id = userID.trim();
    if (id === s.me) return setWrong(t('new.self'));
    const unknown = await unknownUsers(s, [id]).catch(() => []);
    if (unknown.length && asked !== id) {
      setAsked(id);
      return setWrong(t('new.unknown'));
    }
    onClose();
    s.navigate({ kind: 'chat', id: `c2c_${id}` });
  };
  return (
    <form onSubmit={(e) => void talk(e)}>
      <label>
        {t('new.userID')}
        <input
          value={userID}
          onChange={(e) => {
            setUser(e.target.value);
            setWrong('');
          }}
          autoComplete="off"
          placeholder="bob"
          required
          pattern="[A-Za-z0-9_.:@+=\-]{1,64}"
          title={t('new.idForm')}
        />
      </label>
      <p className="wrong" role="alert">
        {wrong}
      </p>
      <Button tone="main" type="submit">
        {t('new.write')}
      </Button>
    </form>
  );
}

function Create({ onClose }: { onClose: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const [name, setName] = useState('');
  const members = useUserIDs();
  const [type, setType] = useState<Kind>('Work');
  const [wrong, setWrong] = useState('');
  const create = async (e: FormEvent): Promise<void> => {
    e.preventDefault();
    try {
      const memberList = type === 'AVChatRoom' ? [] : await members.read(setWrong);
      if (!memberList) return;
      const {
        group: { groupID },
      } = await s.client.createGroup({ type, name: name.trim(), ...(memberList.length ? { memberList } : {}) });
      await s.refresh();
      onClose();
      if (type === 'Work') s.navigate({ kind: 'chat', id: `group_${groupID}` });
      else s.navigate({ kind: type === 'AVChatRoom' ? 'room' : 'class', id: groupID });
    } catch (err) {
      setWrong(s.reason(err));
    }
  };
  return (
    <form onSubmit={(e) => void create(e)}>
      <label>
        {t('new.group')}
        <input value={name} onChange={(e) => setName(e.target.value)} required maxLength={30} />
      </label>
      <label>
        {t('new.kind')}
        <select value={type} onChange={(e) => setType(e.target.value as Kind)}>
          <option value="Work">{t('new.work')}</option>
          <option value="Public">{t('new.class')}</option>
          <option value="AVChatRoom">{t('new.room')}</option>
        </select>
      </label>
      {type !== 'AVChatRoom' && (
        <label>
          {t('new.members')}
          <input
            value={members.text}
            onChange={(e) => members.setText(e.target.value)}
            placeholder="bob, carol"
            autoComplete="off"
          />
        </label>
      )}
      <p className="wrong" role="alert">
        {wrong}
      </p>
      <Button tone="main" type="submit">
        {t('new.create')}
      </Button>
    </form>
  );
}
