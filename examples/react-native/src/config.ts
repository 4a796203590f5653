/** The server. `beckon dev --listen 0.0.0.0:8787` prints tokens for a first try; a phone needs https. */
export const server = 'https://chat.example.com';

/** Returns a token of a user. Your app server gets it with createToken, and checks who asks. */
export async function getToken(userID: string): Promise<string> {
  const res = await fetch(`https://app.example.com/token?user=${encodeURIComponent(userID)}`);
  if (!res.ok) throw new Error(`no token: ${res.status}`);
  return res.text();
}
