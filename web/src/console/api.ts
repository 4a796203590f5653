// The API client of the console. Requests carry an API key.
import { BeckonError, type Request, type Response, type Schemas } from 'beckon';

const keyName = 'beckon.console';

export class API {
  constructor(readonly key: string) {}

  /** Calls a method as a user or, without one, as the app server. */
  async call<M extends string>(method: M, request: Request<M>, user?: string): Promise<Response<M>> {
    const res = await fetch(`v1/${method}`, {
      method: 'POST',
      body: JSON.stringify(request),
      headers: {
        Authorization: `Bearer ${this.key}`,
        'Content-Type': 'application/json',
        ...(user ? { 'Beckon-User': user } : {}),
      },
    });
    const body: unknown = await res.json().catch(() => undefined);
    if (!res.ok)
      throw new BeckonError(
        (body as Schemas['Error'] | undefined) ?? { code: 10002, message: `the server answered ${res.status}` },
      );
    return body as Response<M>;
  }
}

/** Returns the key of this tab. It lives in session storage, until the tab closes. */
export function remembered(): string | undefined {
  return sessionStorage.getItem(keyName) ?? undefined;
}

export function keep(key: string | undefined): void {
  if (key) sessionStorage.setItem(keyName, key);
  else sessionStorage.removeItem(keyName);
}

/** Returns the message of an error. */
export function errorText(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}
