// Conversations beside each other, in the colours and the language of the application.
import { BeckonProvider, CallLayer, Conversation, ConversationList } from '@beckon/react';
import { useState, type ReactNode } from 'react';
import { client, userID } from './session.js';

export function Chat(): ReactNode {
  const [open, setOpen] = useState('');
  return (
    <BeckonProvider
      client={client}
      userID={userID}
      locale="ar"
      strings={{ search: 'بحث في الرسائل', write: 'اكتب رسالة' }}
      theme={{ '--brand': '#5b3df5' }}
      onNavigate={({ id = '' }) => setOpen(id)}
    >
      <div style={{ display: 'grid', gridTemplateColumns: '20rem 1fr', height: '100vh' }}>
        <nav>
          <ConversationList current={open} onOpen={setOpen} />
        </nav>
        {open && <Conversation key={open} conversationID={open} />}
      </div>
      <CallLayer />
    </BeckonProvider>
  );
}
