import { useState, type FormEvent, type ReactNode } from 'react';
import { Button } from '../ui.js';
import { go, useRoute } from '../use.js';
import { Calls } from './calls.js';
import { House, keep, remembered, said } from './house.js';
import { Invitations } from './invitations.js';
import { Connections, Groups, People } from './live.js';
import { Overview } from './overview.js';
import { Queues } from './queues.js';
import { HouseContext } from './use.js';

const places = [
  ['overview', 'Overview'],
  ['invitations', 'Invitations'],
  ['calls', 'Calls'],
  ['connections', 'Connections'],
  ['people', 'People'],
  ['groups', 'Groups'],
  ['queues', 'Queues'],
] as const;

export function Console(): ReactNode {
  const [house, setHouse] = useState(() => {
    const key = remembered();
    return key ? new House(key) : undefined;
  });
  if (!house)
    return (
      <SignIn
        onHouse={(h) => {
          keep(h.key);
          setHouse(h);
        }}
      />
    );
  return (
    <HouseContext.Provider value={house}>
      <Inside
        onLeave={() => {
          keep(undefined);
          setHouse(undefined);
        }}
      />
    </HouseContext.Provider>
  );
}

/** An operator signs in with the key of an app server, which may do everything. */
function SignIn({ onHouse }: { onHouse: (h: House) => void }): ReactNode {
  const [wrong, setWrong] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = (e: FormEvent<HTMLFormElement>): void => {
    e.preventDefault();
    const h = new House(String(new FormData(e.currentTarget).get('key') ?? '').trim());
    setBusy(true);
    h.call('listConnections', { limit: 1 })
      .then(
        () => onHouse(h),
        (err: unknown) => setWrong(said(err)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <div className="signin">
      <section className="hero">
        <img src="/icon.svg" alt="" width="72" height="72" />
        <h1>Console</h1>
        <p>What this Beckon server does, and what became of every invitation.</p>
      </section>
      <section className="card">
        <form onSubmit={submit}>
          <label htmlFor="key">API key</label>
          <input
            id="key"
            name="key"
            type="password"
            autoComplete="off"
            required
            onChange={() => setWrong('')}
            aria-describedby="wrong"
          />
          <p id="wrong" className="wrong" role="alert">
            {wrong}
          </p>
          <Button tone="main" type="submit" disabled={busy}>
            Sign in
          </Button>
          <p className="muted">
            One of <code>--api-key</code>, or the <code>apiKey</code> in <code>keys.json</code> of the data directory.
            It is forgotten when you close this tab.
          </p>
        </form>
      </section>
    </div>
  );
}

function Inside({ onLeave }: { onLeave: () => void }): ReactNode {
  const [where = 'overview', what = ''] = useRoute();
  return (
    <div className="console">
      <nav aria-label="Console">
        <strong>
          <img src="/icon.svg" alt="" width="28" height="28" /> Beckon
        </strong>
        {places.map(([id, label]) => (
          <button key={id} type="button" aria-current={where === id ? 'page' : undefined} onClick={() => go(id)}>
            {label}
          </button>
        ))}
        <Button tone="quiet" onClick={onLeave}>
          Sign out
        </Button>
      </nav>
      <main>
        {where === 'invitations' ? (
          <Invitations id={what} onID={(id) => go('invitations', ...(id ? [id] : []))} />
        ) : where === 'calls' ? (
          <Calls onInvitation={(id) => go('invitations', id)} />
        ) : where === 'connections' ? (
          <Connections />
        ) : where === 'people' ? (
          <People />
        ) : where === 'groups' ? (
          <Groups />
        ) : where === 'queues' ? (
          <Queues />
        ) : (
          <Overview />
        )}
      </main>
    </div>
  );
}
