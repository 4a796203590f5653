// Builds dist: ES modules with their types by tsc, and one style sheet whose rules apply inside a provider only.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
const tsc = fileURLToPath(import.meta.resolve('typescript/lib/tsc.js'));
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
const style = join(root, 'src', 'style');
const [tokens, ...components] = readdirSync(style)
  .sort()
  .map((name) => readFileSync(join(style, name), 'utf8'));
writeFileSync(join(dist, 'style.css'), `${tokens}\n:where(.beckon) {\n${components.join('\n')}\n}\n`);
