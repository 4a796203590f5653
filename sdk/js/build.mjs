// Builds dist: ES modules with their types by tsc, and the same as CommonJS in dist/cjs.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('.', import.meta.url));
const dist = join(root, 'dist');
const cjs = join(dist, 'cjs');

rmSync(dist, { recursive: true, force: true });
const tsc = fileURLToPath(import.meta.resolve('typescript/lib/tsc.js'));
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });

const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
for (const file of readdirSync(dist, { recursive: true })) {
  const target = join(cjs, file);
  if (file.endsWith('.d.ts')) cpSync(join(dist, file), target);
  if (!file.endsWith('.js')) continue;
  mkdirSync(dirname(target), { recursive: true });
  const fileName = join(dist, file);
  writeFileSync(target, ts.transpileModule(readFileSync(fileName, 'utf8'), { fileName, compilerOptions }).outputText);
}
// The types are the same text; this file makes Node and TypeScript read them as CommonJS.
writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs", "sideEffects": false }\n');
