// The server as an operator sees it: every verb by its name, with the key of an app server.
import { BeckonError, type Request, type Response, type Schemas } from 'beckon';

const keyName = 'beckon.console';

export class House {
  constructor(readonly key: string) {}

  /** Calls a verb, for somebody or, without a user, for the app server itself. */
  async call<V extends string>(verb: V, request: Request<V>, user?: string): Promise<Response<V>> {
    const res = await fetch(`/v1/${verb}`, {
      method: 'POST',
      body: JSON.stringify(request),
      headers: {
        Authorization: `Bearer ${this.key}`,
        'Content-Type': 'application/json',
        ...(user ? { 'Beckon-User': user } : {}),
      },
    });
    const answer: unknown = await res.json().catch(() => undefined);
    if (!res.ok)
      throw new BeckonError(
        (answer as Schemas['Error'] | undefined) ?? { code: 10002, message: `the server answered ${res.status}` },
      );
    return answer as Response<V>;
  }
}

/** The key of this tab; it is forgotten with it. */
export function remembered(): string | undefined {
  return sessionStorage.getItem(keyName) ?? undefined;
}

export function keep(key: string | undefined): void {
  if (key) sessionStorage.setItem(keyName, key);
  else sessionStorage.removeItem(keyName);
}

/** What went wrong, in words. */
export function said(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}
