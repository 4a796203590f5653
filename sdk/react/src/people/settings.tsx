// The settings of this user: the profile, do-not-disturb, blocked users, and devices.
import { useCallback, useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { useSession, useText, useTranslator } from '../use.js';

/** The properties of the Settings. */
export interface SettingsProps {
  onClose: () => void;
  /** More settings, of the application. */
  children?: ReactNode;
}

/** The dialog with the settings of this user. */
export function Settings({ onClose, children }: SettingsProps): ReactNode {
  const t = useText();
  return (
    <Dialog title={t('settings')} className="panel-dialog" onClose={onClose}>
      <OwnProfile />
      {children}
      <DoNotDisturb />
      <Devices />
      <Blocked />
    </Dialog>
  );
}

function OwnProfile(): ReactNode {
  const s = useSession();
  const t = useText();
  const [nick, setNick] = useState(() => s.profiles.get()[s.me]?.nick ?? '');
  const [signature, setSignature] = useState('');
  useEffect(() => {
    s.client.getUsersInfo({ userIDList: [s.me] }).then(
      ({ profiles: [p] }) => {
        if (p?.nick) setNick(p.nick);
        setSignature(p?.signature ?? '');
      },
      (err: unknown) => s.fail(err, 'failed.profile'),
    );
  }, [s]);
  const save = (): void => {
    s.client.setSelfInfo({ nick: nick.trim(), signature: signature.trim() }).then(
      () => {
        s.setProfile({ userID: s.me, nick: nick.trim() });
        s.toast(t('saved'));
      },
      (err: unknown) => s.fail(err, 'failed.change'),
    );
  };
  return (
    <form
      className="profile"
      onSubmit={(e) => {
        e.preventDefault();
        save();
      }}
    >
      <UserAvatar userID={s.me} size={64} />
      <p className="muted">{t('profile.id', { id: s.me })}</p>
      <label>
        {t('profile.name')}
        <input value={nick} maxLength={60} required onChange={(e) => setNick(e.target.value)} />
      </label>
      <label>
        {t('profile.signature')}
        <input value={signature} maxLength={120} dir="auto" onChange={(e) => setSignature(e.target.value)} />
      </label>
      <Button type="submit" disabled={!nick.trim()}>
        {t('save')}
      </Button>
    </form>
  );
}

/** The hours in which this user is not disturbed, by the clock of this device. */
function DoNotDisturb(): ReactNode {
  const s = useSession();
  const t = useText();
  const [d, set] = useState<Schemas['DoNotDisturb']>();
  useEffect(() => {
    s.client.getDoNotDisturb().then(
      (r) => set(r.doNotDisturb),
      (err: unknown) => s.fail(err, 'failed.quiet'),
    );
  }, [s]);
  const change = (hours?: { dailyFrom: string; dailyUntil: string }): void => {
    const zoneOffset = -new Date().getTimezoneOffset();
    (hours ? s.client.setDoNotDisturb({ ...hours, zoneOffset }) : s.client.setDoNotDisturb({})).then(
      (r) => set(r.doNotDisturb),
      (err: unknown) => s.fail(err, 'failed.change'),
    );
  };
  if (!d) return null;
  const on = Boolean(d.dailyFrom && d.dailyUntil);
  const { dailyFrom = '22:00', dailyUntil = '07:00' } = d;
  return (
    <section className="switches">
      <label>
        <input type="checkbox" checked={on} onChange={() => change(on ? undefined : { dailyFrom, dailyUntil })} />{' '}
        {t('quiet')}
      </label>
      {on && (
        <p>
          <input
            type="time"
            aria-label={t('quiet.from')}
            value={dailyFrom}
            onChange={(e) => e.target.value && change({ dailyFrom: e.target.value, dailyUntil })}
          />
          {' – '}
          <input
            type="time"
            aria-label={t('quiet.until')}
            value={dailyUntil}
            onChange={(e) => e.target.value && change({ dailyFrom, dailyUntil: e.target.value })}
          />
        </p>
      )}
    </section>
  );
}

/** The connected devices of this user. */
function Devices(): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const [list, set] = useState<Schemas['Device'][]>([]);
  const load = useCallback(() => {
    s.client.getDeviceList().then(
      ({ devices }) => set(devices),
      (err: unknown) => s.fail(err, 'failed.devices'),
    );
  }, [s]);
  useEffect(load, [load]);
  const signOut = (deviceID: string): void => {
    s.client.kickDevice({ deviceID }).then(load, (err: unknown) => s.fail(err, 'failed.change'));
  };
  return (
    <section>
      <h3>{t('devices')}</h3>
      <ul className="rows">
        {list.map((d) => (
          <li key={d.deviceID}>
            <span>
              {d.platform || d.deviceID.slice(0, 12)}{' '}
              <em className="muted">
                {d.this ? t('devices.this') : t('devices.since', { time: translator.when(d.connectedAt) })}
              </em>
            </span>
            {!d.this && <Button onClick={() => signOut(d.deviceID)}>{t('devices.signOut')}</Button>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The users that this user has blocked. */
function Blocked(): ReactNode {
  const s = useSession();
  const t = useText();
  const [list, set] = useState<string[]>([]);
  const load = useCallback(() => {
    s.client.getBlackList({ limit: 100 }).then(
      ({ userIDList }) => set(userIDList),
      (err: unknown) => s.fail(err, 'failed.blocked'),
    );
  }, [s]);
  useEffect(load, [load]);
  if (!list.length) return null;
  const unblock = (userID: string): void => {
    s.client.deleteFromBlackList({ userIDList: [userID] }).then(load, (err: unknown) => s.fail(err, 'failed.change'));
  };
  return (
    <section>
      <h3>{t('blocked')}</h3>
      <ul className="rows">
        {list.map((u) => (
          <li key={u}>
            <UserAvatar userID={u} size={36} />
            <span>
              <Name id={u} />
            </span>
            <Button onClick={() => unblock(u)}>{t('blocked.remove')}</Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
