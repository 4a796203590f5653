import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// "npm run dev -w web" shows changes at once, with the server of "make dev" behind it.
const server = 'http://127.0.0.1:8787';

export default defineConfig({
  base: './', // a program that embeds the server may serve it below a path
  plugins: [react()],
  build: { target: 'es2022', chunkSizeWarningLimit: 1000, rollupOptions: { input: ['index.html', 'console.html'] } },
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/files', '/demo', '/connection', '/emulation', '/rtc'].map((path) => [
        path,
        { target: server, ws: true },
      ]),
    ),
  },
});
