// The npm package in a fresh project: all code blocks of the documents compile strictly and build with Vite, and run in
// plain Node. ES modules, CommonJS and TypeScript can import each path, and a bundle has only what it uses.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Cluster } from './cluster.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'beckon-fresh-'));
let cluster: Cluster;
let tarball: string;

/** The paths of the package, and one export of each. */
const paths = {
  beckon: 'Client',
  'beckon/room': 'Room',
  'beckon/push': 'enablePush',
  'beckon/call': 'Calls',
  'beckon/server': 'appServer',
  'beckon/voice': 'VoiceRecorder',
  'beckon/inbox': 'Inbox',
  'beckon/native': 'Native',
};

function run(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (err) {
    const { stdout, stderr } = err as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout ?? ''}${stderr ?? ''}`, { cause: err });
  }
}

/** Returns the named TypeScript code blocks of the documents. */
function blocks(): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of [
    'sdk/js/README.md',
    ...readdirSync(join(root, 'docs/scenes'))
      .filter((f) => f.endsWith('.md'))
      .map((f) => `docs/scenes/${f}`),
  ]) {
    for (const m of readFileSync(join(root, file), 'utf8').matchAll(/^```ts ([a-z-]+)\n([\s\S]*?)^```$/gm))
      found.set(m[1]!, m[2]!);
  }
  return found;
}

before(async () => {
  cluster = await Cluster.start();
  tarball = execFileSync('npm', ['pack', '--silent', '--pack-destination', project], {
    cwd: join(root, 'sdk/js'),
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
    .pop()!;
  const version = (name: string): string =>
    (JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version;
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({
      type: 'module',
      private: true,
      dependencies: { beckon: `file:${tarball}`, 'livekit-client': version('livekit-client'), ws: version('ws') },
      devDependencies: {
        '@arethetypeswrong/cli': '0.18.5',
        publint: '0.3.25',
        typescript: version('typescript'),
        vite: version('vite'),
      },
    }),
  );
  writeFileSync(join(project, '.npmrc'), 'fund=false\naudit=false\n');
  run('npm', 'install', '--silent', '--prefer-offline');
});

after(async () => {
  await cluster.stop();
  rmSync(project, { recursive: true, force: true });
});

test('all code blocks of the documents compile strictly and build with Vite', () => {
  const all = blocks();
  assert.deepEqual([...all.keys()].sort(), [
    'app-server',
    'away',
    'call',
    'call-links',
    'cancel',
    'chat',
    'errors',
    'files',
    'inbox',
    'native',
    'quick-start',
    'renew',
    'room',
    'scene-call',
    'scene-chat-room',
    'scene-classroom',
  ]);
  mkdirSync(join(project, 'src'));
  for (const [name, text] of all) {
    writeFileSync(
      join(project, 'src', `${name}.ts`),
      name === 'quick-start' ? text.replace('\n\n', '\n\ndeclare const server: string, token: string;\n') : text,
    );
  }
  writeFileSync(
    join(project, 'src', 'main.ts'),
    [...all.keys()]
      .filter((k) => k !== 'quick-start')
      .map((k, i) => `import * as m${i} from './${k}.js';\nconsole.log(m${i});`)
      .join('\n'),
  );
  writeFileSync(join(project, 'index.html'), '<script type="module" src="/src/main.ts"></script>');
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2022',
        module: 'ESNext',
        moduleResolution: 'Bundler',
        lib: ['ES2022', 'DOM', 'DOM.Iterable'],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        types: [],
      },
      include: ['src'],
    }),
  );
  run('npx', 'tsc');
  run('npx', 'vite', 'build', '--logLevel', 'error');
  assert.ok(readdirSync(join(project, 'dist/assets')).some((f) => f.endsWith('.js')));
});

test('the ten lines run in plain Node', async () => {
  const quick = blocks().get('quick-start')!.replace('{ server, token }', '{ server, token, websocket: WebSocket }');
  const [alice, bob] = await Promise.all([cluster.token('alice'), cluster.token('bob')]);
  const head = (token: string): string =>
    `import { WebSocket } from 'ws';\nconst server = ${JSON.stringify(cluster.url)}, token = ${JSON.stringify(token)};\n`;
  // bob runs the same program without the invite
  writeFileSync(join(project, 'alice.mjs'), `${head(alice)}${quick}\nclient.close();\n`);
  writeFileSync(
    join(project, 'bob.mjs'),
    `${head(bob)}${quick.slice(0, quick.indexOf('const { inviteID }'))}console.log('ready');\nsetTimeout(() => client.close(), 3000);\n`,
  );
  writeFileSync(
    join(project, 'both.mjs'),
    `import { spawn } from 'node:child_process';
const bob = spawn('node', ['bob.mjs'], { stdio: ['ignore', 'pipe', 'inherit'] });
bob.stdout.once('data', () => {
  const alice = spawn('node', ['alice.mjs'], { stdio: 'inherit' });
  alice.on('exit', (code) => { bob.kill(); process.exitCode = code; });
});
`,
  );
  assert.match(run('node', 'both.mjs'), /bob: yes/);
});

test('publint and Are the Types Wrong find nothing in the package', () => {
  run('npx', 'publint', '--strict', tarball);
  run('npx', 'attw', tarball);
  const license = join('node_modules', 'beckon', 'LICENSE');
  assert.equal(readFileSync(join(project, license), 'utf8'), readFileSync(join(root, 'LICENSE'), 'utf8'));
});

test('ES modules and CommonJS import each path, also in one program', () => {
  const names = JSON.stringify(paths);
  writeFileSync(
    join(project, 'consumer.cjs'),
    `for (const [path, name] of Object.entries(${names})) console.log(path, typeof require(path)[name]);
module.exports = require('beckon');
`,
  );
  writeFileSync(
    join(project, 'consumer.mjs'),
    `import { BeckonError } from 'beckon';
import other from './consumer.cjs';
for (const [path, name] of Object.entries(${names})) console.log(path, typeof (await import(path))[name]);
const made = (E) => new E({ code: 8010, message: 'over' });
console.log(made(other.BeckonError) instanceof BeckonError, made(BeckonError) instanceof other.BeckonError);
console.log(made(Error) instanceof BeckonError);
`,
  );
  const each = Object.keys(paths).map((path) => `${path} function\n`);
  assert.equal(run('node', 'consumer.mjs'), [...each, ...each, 'true true\n', 'false\n'].join(''));
});

test('TypeScript resolves each path under node16, in both module systems, and bundler', () => {
  mkdirSync(join(project, 'consumer'));
  const text = [
    ...Object.entries(paths).map(([path, name]) => `import { ${name} } from '${path}';`),
    `console.log(${Object.values(paths).join(', ')});`,
    `export const make = (server: string | undefined, token: string): Client => new Client({ server, token });`,
    `export const sent = (client: Client, replyTo: string | undefined) => client.sendMessage({ userID: 'bob', text: '', replyTo });`,
    `// @ts-expect-error: an invitation to nobody`,
    `export const refused = (client: Client) => client.invite({});`,
  ].join('\n');
  for (const name of ['esm.mts', 'cjs.cts']) writeFileSync(join(project, 'consumer', name), text);
  for (const [module, moduleResolution] of [
    ['Node16', 'Node16'],
    ['ESNext', 'Bundler'],
  ]) {
    writeFileSync(
      join(project, 'consumer', 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'ES2022',
          module,
          moduleResolution,
          lib: ['ES2022', 'DOM', 'DOM.Iterable'],
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          skipLibCheck: true,
          types: [],
        },
      }),
    );
    run('npx', 'tsc', '-p', 'consumer');
  }
});

test('a bundle has only what it uses', async () => {
  const { outputFiles } = await build({
    stdin: { contents: "import { newID } from 'beckon'; console.log(newID());", resolveDir: project },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
  });
  assert.ok(outputFiles[0]!.contents.length < 2000, `newID alone has ${outputFiles[0]!.contents.length} bytes`);
});
