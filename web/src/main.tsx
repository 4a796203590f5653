import '@fontsource-variable/figtree';
import './style.css';
import './rooms.css';
import { createRoot } from 'react-dom/client';
import { LogLevel, setLogLevel } from 'livekit-client';
import { App } from './app.js';

setLogLevel(LogLevel.warn);
createRoot(document.getElementById('root')!).render(<App />);
