import '@beckon/react/style.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Calling } from './calling.js';
import { Chat } from './chat.js';
import { Own } from './own.js';

const examples = { calling: Calling, chat: Chat, own: Own };
const Example = examples[(location.hash.slice(1) || 'calling') as keyof typeof examples];

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Example />
  </StrictMode>,
);
