import { useState, type FormEvent, type ReactNode } from 'react';
import { Button } from '@beckon/react';
import { go, useRoute } from '../route.js';
import { Calls } from './calls.js';
import { API, errorText, keep, remembered } from './api.js';
import { Erasures } from './erasures.js';
import { Invitations } from './invitations.js';
import { Connections, Groups, Users } from './live.js';
import { Overview } from './overview.js';
import { Pushes } from './pushes.js';
import { Queues } from './queues.js';
import { APIContext } from './use.js';

const places = [
  ['overview', 'Overview'],
  ['invitations', 'Invitations'],
  ['calls', 'Calls'],
  ['connections', 'Connections'],
  ['users', 'Users'],
  ['groups', 'Groups'],
  ['queues', 'Queues'],
  ['erasures', 'Erasures'],
] as const;

export function Console(): ReactNode {
  const [api, setAPI] = useState(() => {
    const key = remembered();
    return key ? new API(key) : undefined;
  });
  if (!api)
    return (
      <SignIn
        onSignIn={(h) => {
          keep(h.key);
          setAPI(h);
        }}
      />
    );
  return (
    <APIContext.Provider value={api}>
      <Inside
        onLeave={() => {
          keep(undefined);
          setAPI(undefined);
        }}
      />
    </APIContext.Provider>
  );
}

/** Signs an operator in with an API key, which permits all methods. */
function SignIn({ onSignIn }: { onSignIn: (api: API) => void }): ReactNode {
  const [wrong, setWrong] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = (e: FormEvent<HTMLFormElement>): void => {
    e.preventDefault();
    const api = new API(String(new FormData(e.currentTarget).get('key') ?? '').trim());
    setBusy(true);
    api
      .call('listConnections', { limit: 1 })
      .then(
        () => onSignIn(api),
        (err: unknown) => setWrong(errorText(err)),
      )
      .finally(() => setBusy(false));
  };
  return (
    <div className="signin">
      <section className="hero">
        <img src="icon.svg" alt="" width="72" height="72" />
        <h1>Console</h1>
        <p>The state of this server and the history of every invitation.</p>
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
  const [page = 'overview', target = ''] = useRoute();
  return (
    <div className="console">
      <nav aria-label="Console">
        <strong>
          <img src="icon.svg" alt="" width="28" height="28" /> Beckon
        </strong>
        {places.map(([id, label]) => (
          <button key={id} type="button" aria-current={page === id ? 'page' : undefined} onClick={() => go(id)}>
            {label}
          </button>
        ))}
        <Button tone="quiet" onClick={onLeave}>
          Sign out
        </Button>
      </nav>
      <main>
        {page === 'invitations' ? (
          <Invitations id={target} onID={(id) => go('invitations', ...(id ? [id] : []))} />
        ) : page === 'calls' ? (
          <Calls onInvitation={(id) => go('invitations', id)} />
        ) : page === 'connections' ? (
          <Connections />
        ) : page === 'users' && target ? (
          <Pushes key={target} userID={target} onLeave={() => go('users')} />
        ) : page === 'users' ? (
          <Users onUser={(id) => go('users', id)} />
        ) : page === 'groups' ? (
          <Groups />
        ) : page === 'queues' ? (
          <Queues />
        ) : page === 'erasures' ? (
          <Erasures />
        ) : (
          <Overview />
        )}
      </main>
    </div>
  );
}
