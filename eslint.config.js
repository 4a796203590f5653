import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import ts from 'typescript-eslint';

export default defineConfig([
  globalIgnores(['**/node_modules/', '**/dist/', 'bin/', 'test/e2e/out/', 'sdk/js/src/schema.ts']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [ts.configs.recommended],
    rules: {
      // `interface Client extends Verbs {}` declares the generated methods of a class.
      '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
    },
  },
  { files: ['**/*.{js,mjs}'], languageOptions: { globals: globals.node } },
  {
    // These tests pass functions to Playwright, which run in a page or a service worker.
    files: ['test/{e2e,document,net}/**'],
    languageOptions: { globals: { ...globals.browser, ...globals.serviceworker } },
  },
  {
    files: ['web/src/**', 'sdk/react/src/**'],
    extends: [reactHooks.configs.flat.recommended],
    rules: {
      // Effects here subscribe to the client or a media room and read its state again, which may have changed since
      // the render.
      'react-hooks/set-state-in-effect': 'off',
    },
  },
]);
