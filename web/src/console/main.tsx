import '@fontsource-variable/figtree';
import 'uplot/dist/uPlot.min.css';
import '@beckon/react/style.css';
import '../page.css';
import './console.css';
import { createRoot } from 'react-dom/client';
import { Console } from './app.js';

const root = document.getElementById('root')!;
root.className = 'beckon';
createRoot(root).render(<Console />);
