// Bundles the app for both platforms, as a release build does, and compiles the bundles for Hermes.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadConfig, runBuild } from 'metro';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = at('node_modules/.cache/bundle');
const systems = { linux: 'linux64-bin', darwin: 'osx-bin', win32: 'win64-bin' };
const hermes = at(`node_modules/hermes-compiler/hermesc/${systems[process.platform]}/hermesc`);

mkdirSync(out, { recursive: true });
const config = { ...(await loadConfig({ cwd: at('.') })), reporter: { update: () => undefined } }; // errors reject
for (const platform of ['android', 'ios']) {
  const begin = performance.now();
  const file = `${out}/${platform}.js`;
  await runBuild(config, {
    entry: 'index.ts',
    platform,
    dev: false,
    minify: false, // Hermes compiles the bundle
    unstable_transformProfile: 'hermes-stable',
    out: file,
  });
  execFileSync(hermes, ['-w', '-O0', '-emit-binary', '-out', `${out}/${platform}.hbc`, file]);
  console.log(`bundled for ${platform} in ${Math.round((performance.now() - begin) / 1000)} s`);
}
