// The table of error codes in README.md against the source.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { Code } from '../src/index.js';

const src = new URL('../src/', import.meta.url);
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const rows = [...readme.matchAll(/^\| (\d+) \| `(\w+)` \| (.*)\|$/gm)].map(([, code, name, raised]) => ({
  code: Number(code),
  name: name!,
  raised: raised!.trim() !== '',
}));

test('the table has each code, once, in order', () => {
  assert.deepEqual(
    rows.map((r) => [r.name, r.code]),
    Object.entries(Code).sort(([, a], [, b]) => a - b),
  );
});

test('the table marks the codes that the SDK raises', () => {
  const raised = new Set<number>();
  for (const name of readdirSync(src).filter((n) => n.endsWith('.ts') && n !== 'schema.ts')) {
    const text = readFileSync(new URL(name, src), 'utf8');
    for (const [, code] of text.matchAll(/\bcode: (\d+|Code\.\w+)/g))
      raised.add(code!.startsWith('Code.') ? Code[code!.slice(5) as keyof typeof Code] : Number(code));
    for (const [expression] of text.matchAll(/\? Code\.\w+ : [^;]*/g))
      for (const [, key] of expression.matchAll(/Code\.(\w+)/g)) raised.add(Code[key as keyof typeof Code]);
  }
  assert.deepEqual(
    rows.filter((r) => r.raised).map((r) => r.code),
    [...raised].sort((a, b) => a - b),
  );
});
