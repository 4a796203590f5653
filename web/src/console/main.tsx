import '@fontsource-variable/figtree';
import 'uplot/dist/uPlot.min.css';
import '../style.css';
import '../rooms.css';
import './console.css';
import { createRoot } from 'react-dom/client';
import { Console } from './app.js';

createRoot(document.getElementById('root')!).render(<Console />);
