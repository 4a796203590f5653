// The settings of a group, with the actions to leave and to dismiss it.
import { useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Button } from '../ui/button.js';
import { useSession, useText } from '../use.js';

/** The role of the owner, and the lowest role that may change a group. */
const owner = 400;
const administrator = 300;

export function GroupSettings({
  group,
  role,
  onChange,
  onLeft,
}: {
  group: Schemas['Group'];
  /** This user's role: 200 member, 300 administrator, 400 owner. */
  role: number;
  onChange: () => void;
  onLeft: () => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const { groupID } = group;
  const [name, setName] = useState(group.name ?? '');
  const [notification, setNotification] = useState(group.notification ?? '');
  const may = role >= administrator || group.type === 'Work';
  const act = (run: Promise<unknown>, then: () => void): void => {
    run.then(then, (err: unknown) => s.fail(err, 'failed.change'));
  };
  const left = (): void => {
    s.refreshSoon();
    onLeft();
    s.navigate({ kind: 'chat' });
  };
  const save = (): void => {
    act(s.client.setGroupInfo({ groupID, name: name.trim(), notification: notification.trim() }), () => {
      s.refreshSoon();
      s.toast(t('saved'));
      onChange();
    });
  };
  return (
    <section className="group-settings">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          save();
        }}
      >
        <label>
          {t('group.name')}
          <input value={name} maxLength={30} disabled={!may} onChange={(e) => setName(e.target.value)} />
        </label>
        <label>
          {t('group.notice')}
          <textarea
            value={notification}
            rows={2}
            maxLength={300}
            dir="auto"
            disabled={!may}
            onChange={(e) => setNotification(e.target.value)}
          />
        </label>
        {may && (
          <Button type="submit" disabled={!name.trim()}>
            {t('save')}
          </Button>
        )}
      </form>
      {role >= administrator && group.type !== 'Work' && (
        <label>
          <input
            type="checkbox"
            checked={group.allMuted ?? false}
            onChange={() => act(s.client.muteAllGroupMembers({ groupID, mute: !group.allMuted }), onChange)}
          />{' '}
          {t('group.muteAll')}
        </label>
      )}
      <p className="muted">{t('profile.id', { id: groupID })}</p>
      <div className="acts">
        {(role < owner || group.type === 'Work') && (
          <Button onClick={() => act(s.client.quitGroup({ groupID }), left)}>{t('group.leave')}</Button>
        )}
        {role === owner && group.type !== 'Work' && (
          <Button
            tone="stop"
            onClick={() => {
              if (confirm(t('group.dismissSure'))) act(s.client.dismissGroup({ groupID }), left);
            }}
          >
            {t('group.dismiss')}
          </Button>
        )}
      </div>
    </section>
  );
}
