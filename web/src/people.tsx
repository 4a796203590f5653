import { useEffect, useEffectEvent, useState, type FormEvent, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Button, Dialog, Name, UserAvatar } from './ui.js';
import { reason } from './session.js';
import { go, useSession } from './use.js';

/** The dialog that opens a conversation or creates a group. */
export function NewConversation({ onClose }: { onClose: () => void }): ReactNode {
  const s = useSession();
  const [userID, setUser] = useState('');
  const [name, setName] = useState('');
  const [members, setMembers] = useState('');
  const [type, setType] = useState<'Work' | 'Public' | 'AVChatRoom'>('Work');
  const [wrong, setWrong] = useState('');
  const [unknown, setUnknown] = useState('');
  const notKnown = 'No user with this ID has signed in yet. Press again to write anyway.';
  const talk = async (e: FormEvent): Promise<void> => {
    e.preventDefault();
    const id = userID.trim();
    if (id === s.me) return setUnknown('That is you.');
    const { profiles } = await s.client.getUsersInfo({ userIDList: [id] }).catch(() => ({ profiles: [] }));
    if (!profiles.some((p) => p.nick) && unknown !== notKnown) return setUnknown(notKnown);
    onClose();
    go('chat', `c2c_${id}`);
  };
  const make = async (e: FormEvent): Promise<void> => {
    e.preventDefault();
    try {
      const memberList = members.split(/[\s,]+/).filter(Boolean);
      const {
        group: { groupID },
      } = await s.client.createGroup({
        type,
        name: name.trim(),
        ...(memberList.length > 0 && type !== 'AVChatRoom' ? { memberList } : {}),
      });
      await s.refresh();
      onClose();
      go(
        type === 'AVChatRoom' ? 'lounge' : type === 'Public' ? 'class' : 'chat',
        type === 'Work' ? `group_${groupID}` : groupID,
      );
    } catch (err) {
      setWrong(reason(err));
    }
  };
  return (
    <Dialog title="New conversation" onClose={onClose}>
      <form onSubmit={(e) => void talk(e)}>
        <label>
          Somebody’s user ID
          <input
            value={userID}
            onChange={(e) => {
              setUser(e.target.value);
              setUnknown('');
            }}
            autoComplete="off"
            placeholder="bob"
            required
            pattern="[A-Za-z0-9_.:@+=\-]{1,64}"
            title="An ID has no spaces: letters, digits and _ . : - @ + ="
          />
        </label>
        <p className="wrong" role="alert">
          {unknown}
        </p>
        <Button tone="main" type="submit">
          Write to them
        </Button>
      </form>
      <hr />
      <form onSubmit={(e) => void make(e)}>
        <label>
          Name of a new group
          <input value={name} onChange={(e) => setName(e.target.value)} required maxLength={30} />
        </label>
        <label>
          Kind
          <select value={type} onChange={(e) => setType(e.target.value as typeof type)}>
            <option value="Work">Colleagues: members bring in others</option>
            <option value="Public">Classroom: you let people in</option>
            <option value="AVChatRoom">Chat room: open to everybody</option>
          </select>
        </label>
        {type !== 'AVChatRoom' && (
          <label>
            Members’ user IDs
            <input
              value={members}
              onChange={(e) => setMembers(e.target.value)}
              placeholder="bob, carol"
              autoComplete="off"
            />
          </label>
        )}
        <p className="wrong" role="alert">
          {wrong}
        </p>
        <Button tone="main" type="submit">
          Make the group
        </Button>
      </form>
    </Dialog>
  );
}

/** The dialog that adds members to a group. */
export function AddMembers({ groupID, onClose }: { groupID: string; onClose: () => void }): ReactNode {
  const s = useSession();
  const [members, setMembers] = useState('');
  const [wrong, setWrong] = useState('');
  const add = async (e: FormEvent): Promise<void> => {
    e.preventDefault();
    try {
      await s.client.inviteUserToGroup({ groupID, memberList: members.split(/[\s,]+/).filter(Boolean) });
      s.refreshSoon();
      onClose();
    } catch (err) {
      setWrong(reason(err));
    }
  };
  return (
    <Dialog title="Add people" onClose={onClose}>
      <form onSubmit={(e) => void add(e)}>
        <label>
          Their user IDs
          <input
            value={members}
            onChange={(e) => setMembers(e.target.value)}
            placeholder="bob, carol"
            autoComplete="off"
            required
          />
        </label>
        <p className="wrong" role="alert">
          {wrong}
        </p>
        <Button tone="main" type="submit">
          Add
        </Button>
      </form>
    </Dialog>
  );
}

/** The dialog that selects members of a group; the first 8 are selected at first. */
export function PickMembers({
  groupID,
  title,
  action,
  without,
  ofCall = false,
  onPick,
  onClose,
}: {
  groupID: string;
  title: string;
  action: string;
  without: string[];
  ofCall?: boolean;
  onPick: (users: string[]) => void;
  onClose: () => void;
}): ReactNode {
  const s = useSession();
  const [all, setAll] = useState<string[]>();
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const show = useEffectEvent((members: Schemas['Member'][]) => {
    const others = members.map((m) => m.userID).filter((u) => u !== s.me && !without.includes(u));
    setAll(others);
    setChosen(new Set(others.slice(0, 8)));
  });
  const fail = useEffectEvent((err: unknown) => {
    s.fail(err, 'The members could not be read');
    onClose();
  });
  useEffect(() => {
    s.client.getGroupMemberList({ groupID, limit: 200 }).then(
      ({ members }) => show(members),
      (err: unknown) => fail(err),
    );
  }, [s, groupID]);
  const toggle = (u: string): void =>
    setChosen((c) => {
      const n = new Set(c);
      if (!n.delete(u)) n.add(u);
      return n;
    });
  return (
    <Dialog title={title} onClose={onClose} ofCall={ofCall}>
      <ul className="picks">
        {all?.map((u) => (
          <li key={u}>
            <label>
              <input type="checkbox" checked={chosen.has(u)} onChange={() => toggle(u)} />
              <UserAvatar userID={u} size={36} />
              <span>
                <Name id={u} />
              </span>
            </label>
          </li>
        ))}
      </ul>
      {all?.length === 0 && <p className="muted">There is nobody else to ask.</p>}
      <Button
        tone="main"
        disabled={chosen.size === 0}
        onClick={() => {
          onPick([...chosen]);
          onClose();
        }}
      >
        {action} ({chosen.size})
      </Button>
    </Dialog>
  );
}
