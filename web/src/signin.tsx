import { useEffect, useState, type FormEvent, type ReactNode } from 'react';
import { Avatar, Button } from '@beckon/react';
import { demoUsers, type Saved } from './saved.js';
import { usePageText } from './texts.js';

/** Returns the user ID of a token, without verifying the token. */
function userOf(token: string): string | undefined {
  try {
    const claims = JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))) as {
      sub?: string;
    };
    return claims.sub;
  } catch {
    return undefined;
  }
}

/** The page that signs in. stay: also when the browser was closed. */
export function SignIn({ onToken }: { onToken: (user: Saved, stay: boolean) => void }): ReactNode {
  const t = usePageText();
  const [users, setUsers] = useState<Saved[]>();
  const [token, setToken] = useState('');
  const [wrong, setWrong] = useState(false);
  const [stay, setStay] = useState(false);
  useEffect(() => {
    void demoUsers().then(setUsers);
  }, []);
  const submit = (e: FormEvent): void => {
    e.preventDefault();
    const userID = userOf(token.trim());
    if (userID) onToken({ userID, nick: userID, token: token.trim() }, stay);
    else setWrong(true);
  };
  return (
    <main className="beckon">
      <div className="signin">
        <section className="hero">
          <img src="icon.svg" alt="" width="72" height="72" />
          <h1>Beckon</h1>
          <p>{t('signIn.intro')}</p>
        </section>
        <section className="card">
          {users && users.length > 0 && (
            <>
              <h2>{t('signIn.title')}</h2>
              <p className="muted">{t('signIn.second')}</p>
              <ul className="people">
                {users.map((u) => (
                  <li key={u.userID}>
                    <button type="button" onClick={() => onToken(u, stay)}>
                      <Avatar id={u.userID} name={u.nick} size={48} />
                      <span>{u.nick}</span>
                    </button>
                  </li>
                ))}
              </ul>
            </>
          )}
          <form onSubmit={submit}>
            <label htmlFor="token">{t(users?.length ? 'signIn.orToken' : 'signIn.token')}</label>
            <textarea
              id="token"
              rows={2}
              value={token}
              onChange={(e) => {
                setToken(e.target.value);
                setWrong(false);
              }}
              spellCheck={false}
              autoComplete="off"
              aria-describedby="wrong"
              onKeyDown={(e) => {
                if (e.key === 'Enter') {
                  e.preventDefault();
                  e.currentTarget.form?.requestSubmit();
                }
              }}
            />
            <p id="wrong" className="wrong" role="alert">
              {wrong && t('signIn.notToken')}
            </p>
            <label>
              <input type="checkbox" checked={stay} onChange={(e) => setStay(e.target.checked)} /> {t('signIn.stay')}
            </label>
            <Button tone="main" type="submit" disabled={!token.trim()}>
              {t('signIn.do')}
            </Button>
          </form>
        </section>
      </div>
    </main>
  );
}
