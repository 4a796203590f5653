// Calls with components of the application's own: only the hooks are used.
import { BeckonProvider, useCall, useName, useSession } from '@beckon/react';
import type { ReactNode } from 'react';
import { client, userID } from './session.js';

export function Own(): ReactNode {
  return (
    <BeckonProvider client={client} userID={userID}>
      <Phone />
    </BeckonProvider>
  );
}

function Phone(): ReactNode {
  const { calls } = useSession();
  const call = useCall();
  const caller = useName(call.inviter);
  if (call.phase === 'idle') return <button onClick={() => void calls.call({ userID: 'bob' })}>Call bob</button>;
  if (call.phase === 'ringing')
    return (
      <>
        <p>{caller} calls</p>
        <button onClick={() => void calls.answer()}>Answer</button>
        <button onClick={() => void calls.decline()}>Decline</button>
      </>
    );
  return (
    <>
      <p>The call is {call.phase}</p>
      <button onClick={() => void calls.hangup()}>Hang up</button>
    </>
  );
}
