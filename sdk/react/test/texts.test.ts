// The texts: both languages have the same values, and the components name only texts that exist.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { IntlMessageFormat } from 'intl-messageformat';
import { en } from '../src/text/en.js';
import { directionOf, languageOf, loadTexts, Translator, type TextKey } from '../src/text/text.js';
import { zh } from '../src/text/zh.js';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** Returns the names of the values of a message. */
function valuesOf(message: string): string[] {
  const names = new Set<string>();
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(walk);
    if (!node || typeof node !== 'object') return;
    const { type, value, options } = node as { type: number; value: string; options?: Record<string, unknown> };
    if (type > 0 && type < 7) names.add(value); // not literal text, not #
    for (const o of Object.values(options ?? {})) walk((o as { value: unknown }).value);
  };
  walk(new IntlMessageFormat(message, 'en').getAst());
  return [...names].sort();
}

test('English and Chinese have the same texts, with the same values', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en) as TextKey[]) assert.deepEqual(valuesOf(zh[key]), valuesOf(en[key]), key);
});

test('each text is used by a component', () => {
  const code = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((f) => /\.tsx?$/.test(f) && !/(en|zh)\.ts$/.test(f))
    .map((f) => readFileSync(join(src, f), 'utf8'))
    .join('\n');
  const unused = Object.keys(en).filter((key) => {
    const [group] = key.split('.');
    return !code.includes(`'${key}'`) && !code.includes(`\`${group}.\${`);
  });
  assert.deepEqual(unused, []);
});

test('texts with numbers, names and dates', async () => {
  const t = new Translator('en', await loadTexts('en', undefined));
  assert.equal(t.text('messages.new', { count: 1 }), '1 new message');
  assert.equal(t.text('messages.new', { count: 3 }), '3 new messages');
  assert.equal(t.text('call.missed', { kind: 'voice' }), 'Missed voice call');
  assert.equal(t.text('call.missed', { kind: 'other' }), 'Missed invitation');
  assert.equal(t.list(['Ann', 'Bob']), 'Ann, Bob');
  const now = new Date(2026, 10, 30, 12).getTime();
  assert.equal(t.day(now, now), 'Today');
  assert.equal(t.day(now - 86_400_000, now), 'Yesterday');
  assert.match(t.day(now - 2 * 86_400_000, now), /Saturday.*28/);
  const chinese = new Translator('zh-CN', await loadTexts('zh-CN', { accept: '好' }));
  assert.equal(chinese.text('accept'), '好', 'the texts of the application are above the others');
  assert.equal(chinese.text('messages.new', { count: 3 }), '3 条新消息');
  assert.equal(languageOf('zh-Hant'), 'zh');
  assert.equal(languageOf('de'), 'en');
  assert.equal(directionOf('ar-EG'), 'rtl');
  assert.equal(directionOf('en'), 'ltr');
});
