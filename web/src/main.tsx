import '@fontsource-variable/figtree';
import '@beckon/react/style.css';
import './page.css';
import { createRoot } from 'react-dom/client';
import { App } from './app.js';
import { loadLanguage } from './texts.js';

await loadLanguage();
createRoot(document.getElementById('root')!).render(<App />);
