// The members of a group with their roles, the actions of administrators on them, and the applications.
import { useCallback, useEffect, useState, type ReactNode } from 'react';
import type { Schemas } from 'beckon';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { useSession, useText, useTranslator } from '../use.js';
import type { TextKey } from '../text/text.js';

type Member = Schemas['Member'];

const [member, administrator, owner] = [200, 300, 400] as const;

/** Duration for which a member is muted, in seconds. */
const muteTime = 3600;

const roles: Record<number, TextKey> = {
  [member]: 'role.member',
  [administrator]: 'role.administrator',
  [owner]: 'role.owner',
};

export function Members({
  group,
  members,
  role,
  onChange,
}: {
  group: Schemas['Group'];
  members: readonly Member[];
  /** This user's role. */
  role: number;
  onChange: () => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const now = s.client.now();
  return (
    <section className="group-members">
      {role >= administrator && <Applications groupID={group.groupID} onChange={onChange} />}
      <h3>{t('members.count', { count: group.members })}</h3>
      <ul className="rows">
        {members.map((m) => (
          <li key={m.userID} data-member={m.userID}>
            <UserAvatar userID={m.userID} size={36} />
            <span>
              {m.nameCard || <Name id={m.userID} />}
              <em className="muted">
                {' '}
                {t(roles[m.role] ?? 'role.member')}
                {(m.mutedUntil ?? 0) > now && ` · ${t('members.muted')}`}
              </em>
            </span>
            {m.userID !== s.me && m.role < role && (
              <MemberActions group={group} m={m} role={role} onChange={onChange} />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The actions of a user with a higher role on a member. */
function MemberActions({
  group: { groupID, type },
  m,
  role,
  onChange,
}: {
  group: Schemas['Group'];
  m: Member;
  role: number;
  onChange: () => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const { userID } = m;
  const muted = (m.mutedUntil ?? 0) > s.client.now();
  const act = (run: Promise<unknown>): void => {
    run.then(onChange, (err: unknown) => s.fail(err, 'failed.change'));
  };
  const work = type === 'Work'; // Work groups have neither administrators nor muted members
  return (
    <span className="acts">
      {role === owner && !work && (
        <Button
          tone="quiet"
          onClick={() =>
            act(
              s.client.setGroupMemberRole({
                groupID,
                userID,
                role: m.role === administrator ? member : administrator,
              }),
            )
          }
        >
          {t(m.role === administrator ? 'members.demote' : 'members.promote')}
        </Button>
      )}
      {role === owner && !work && (
        <Button
          tone="quiet"
          onClick={() => {
            if (confirm(t('members.transferSure', { name: s.name(userID) })))
              act(s.client.transferGroupOwner({ groupID, userID }));
          }}
        >
          {t('members.transfer')}
        </Button>
      )}
      {!work && (
        <Button
          tone="quiet"
          onClick={() => act(s.client.muteGroupMember({ groupID, userID, seconds: muted ? 0 : muteTime }))}
        >
          {t(muted ? 'members.unmute' : 'members.mute')}
        </Button>
      )}
      <Button tone="quiet" onClick={() => act(s.client.kickGroupMember({ groupID, memberList: [userID] }))}>
        {t('members.remove')}
      </Button>
    </span>
  );
}

/** The applications to join a group that wait for an answer. */
function Applications({ groupID, onChange }: { groupID: string; onChange: () => void }): ReactNode {
  const s = useSession();
  const t = useText();
  const translator = useTranslator();
  const [list, set] = useState<Schemas['Application'][]>([]);
  const load = useCallback(() => {
    s.client.getGroupApplicationList({ limit: 100 }).then(
      ({ applications }) => set(applications.filter((a) => a.groupID === groupID && a.state === 'waiting')),
      () => undefined, // the members are shown
    );
  }, [s, groupID]);
  useEffect(load, [load]);
  const answer = (userID: string, yes: boolean): void => {
    const request = { groupID, userID };
    (yes ? s.client.acceptGroupApplication(request) : s.client.refuseGroupApplication(request)).then(
      () => {
        load();
        onChange();
      },
      (err: unknown) => s.fail(err, 'failed.change'),
    );
  };
  if (!list.length) return null;
  return (
    <>
      <h3>{t('applications', { count: list.length })}</h3>
      <ul className="rows">
        {list.map((a) => (
          <li key={a.userID}>
            <UserAvatar userID={a.userID} size={36} />
            <span>
              <Name id={a.userID} /> <em className="muted">{a.reason || translator.when(a.appliedAt)}</em>
            </span>
            <Button onClick={() => answer(a.userID, false)}>{t('applications.refuse')}</Button>
            <Button tone="go" onClick={() => answer(a.userID, true)}>
              {t('applications.accept')}
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}
