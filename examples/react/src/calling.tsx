// A calling app: it calls bob, and rings for incoming calls.
import { BeckonProvider, CallButton, CallLayer } from '@beckon/react';
import type { ReactNode } from 'react';
import { client, userID } from './session.js';

export function Calling(): ReactNode {
  return (
    <BeckonProvider client={client} userID={userID}>
      <h1>Signed in as {userID}</h1>
      <CallButton userID="bob" />
      <CallButton userID="bob" media="audio" />
      <CallLayer />
    </BeckonProvider>
  );
}
