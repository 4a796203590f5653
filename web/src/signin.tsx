import { useEffect, useState, type FormEvent, type ReactNode } from 'react';
import { demoUsers, type Saved } from './saved.js';
import { Avatar, Button } from './ui.js';

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

export function SignIn({ onToken }: { onToken: (user: Saved) => void }): ReactNode {
  const [users, setUsers] = useState<Saved[]>();
  const [token, setToken] = useState('');
  const [wrong, setWrong] = useState('');
  useEffect(() => {
    void demoUsers().then(setUsers);
  }, []);
  const submit = (e: FormEvent): void => {
    e.preventDefault();
    const userID = userOf(token.trim());
    if (userID) onToken({ userID, nick: userID, token: token.trim() });
    else
      setWrong(
        'This is not a token: it has three parts with dots between them, and names a user. “beckon token NAME” makes one.',
      );
  };
  return (
    <div className="signin">
      <section className="hero">
        <img src="icon.svg" alt="" width="72" height="72" />
        <h1>Beckon</h1>
        <p>Call somebody, raise a hand, ask for the microphone. One server decides, and every device shows the same.</p>
      </section>
      <section className="card">
        {users && users.length > 0 && (
          <>
            <h2>Who are you?</h2>
            <p className="muted">Open a second window to sign in as somebody else.</p>
            <ul className="people">
              {users.map((u) => (
                <li key={u.userID}>
                  <button type="button" onClick={() => onToken(u)}>
                    <Avatar id={u.userID} name={u.nick} size={48} />
                    <span>{u.nick}</span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
        <form onSubmit={submit}>
          <label htmlFor="token">{users?.length ? 'Or sign in with a token' : 'Sign in with a token'}</label>
          <textarea
            id="token"
            rows={2}
            value={token}
            onChange={(e) => {
              setToken(e.target.value);
              setWrong('');
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
            {wrong}
          </p>
          <Button tone="main" type="submit" disabled={!token.trim()}>
            Sign in
          </Button>
        </form>
      </section>
    </div>
  );
}
