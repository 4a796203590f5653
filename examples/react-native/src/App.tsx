import type { Client } from 'beckon';
import { useEffect, useState } from 'react';
import { Button, SafeAreaView, Text, TextInput } from 'react-native';
import { call, followCalls } from './calls';
import { permitCalls } from './phone';
import { resume, signIn, signOut } from './session';

/** The whole app: a user signs in, calls another one, and sees the conversation of an answered call. */
export function App() {
  const [client, setClient] = useState<Client>();
  const [name, setName] = useState('');
  const [conversation, setConversation] = useState('');
  const [error, setError] = useState('');

  const run = (work: () => Promise<void>) => (): void => {
    setError('');
    work().catch((err: unknown) => setError(String(err)));
  };

  useEffect(() => {
    resume().then(setClient, (err: unknown) => setError(String(err)));
  }, []);

  useEffect(() => {
    if (!client) return undefined;
    void permitCalls();
    return followCalls(client, setConversation);
  }, [client]);

  return (
    <SafeAreaView>
      <TextInput value={name} onChangeText={setName} placeholder="user ID" autoCapitalize="none" />
      {client ? (
        <>
          <Button title={`Call ${name}`} disabled={!name} onPress={run(() => call(client, name))} />
          <Button
            title="Sign out"
            onPress={run(async () => {
              setClient(undefined);
              await signOut(client);
            })}
          />
        </>
      ) : (
        <Button title="Sign in" disabled={!name} onPress={run(async () => setClient(await signIn(name)))} />
      )}
      <Text>{conversation}</Text>
      <Text>{error}</Text>
    </SafeAreaView>
  );
}
