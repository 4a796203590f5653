// Prints the gzipped size of the SDK without media, and fails above the limit of 28 kB.
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const limit = 28_000;
const { outputFiles } = await build({
  entryPoints: [new URL('src/index.ts', import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  write: false,
});
const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`beckon: ${size} bytes gzipped, with its transport; the limit is ${limit}`);
if (size > limit) process.exitCode = 1;
