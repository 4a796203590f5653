// Prints the size of the SDK without media, gzipped, and that of a program that imports one function; fails above the
// limits.
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Returns the minified bundle of a program. */
async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL('src', import.meta.url)) },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  return outputFiles[0].contents;
}

function check(what, size, limit) {
  console.log(`${what}: ${size} bytes; the limit is ${limit}`);
  if (size > limit) process.exitCode = 1;
}

const whole = await bundle("export * from './index.js'");
check('beckon, with its transport, gzipped', gzipSync(whole, { level: 9 }).length, 28_000);
check(
  'newID alone, minified',
  (await bundle("import { newID } from './index.js'; console.log(newID())")).length,
  2_000,
);
