// Runs calls over networks that fail, each browser in a network namespace of its own: make test-net. This part makes the
// namespaces, runs scenes.js in that of the server, and removes the rest of it and of earlier runs.
// Usage: node run.js [--only PART_OF_A_NAME]… [--list] [--check]

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const prefix = 'bk-net-'; // of namespaces, and
const temporary = 'beckon-net-'; // of directories: the number of the process follows
const own = `${prefix}${process.pid}-`;
const places = ['server', 'alice', 'bob', 'carol'];

function ip(...args) {
  const { status, stdout, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  return { ok: status === 0, out: stdout ?? '', error: error?.message ?? stderr.trim() };
}

/** Returns the missing parts of this machine. */
function missing() {
  if (process.platform !== 'linux') return ['Linux, which has network namespaces'];
  const list = [];
  if (process.getuid() !== 0) list.push('root: run it with sudo');
  if (!ip('-V').ok) list.push('the command ip: apt-get install iproute2');
  if (!existsSync('/dev/net/tun')) list.push('/dev/net/tun: modprobe tun, or --device /dev/net/tun for a container');
  if (list.length) return list;
  const name = `${own}probe`;
  const made = ip('netns', 'add', name);
  if (!made.ok) return [`the right to make network namespaces (CAP_SYS_ADMIN): ${made.error}`];
  ip('netns', 'del', name);
  return list;
}

/** Ends the programs in a namespace and removes it. Its interfaces are gone with the relay. */
function remove(name) {
  for (const pid of ip('netns', 'pids', name).out.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
  ip('netns', 'del', name);
}

/** Removes the namespaces and directories of runs that were killed. */
function removeStale() {
  const names = ip('netns', 'list')
    .out.split('\n')
    .map((line) => line.split(' ')[0]);
  const dead = (name, start) => {
    const pid = new RegExp(`^${start}(\\d+)-`).exec(name)?.[1];
    return pid && !isRun(pid);
  };
  for (const name of names) if (dead(name, prefix)) remove(name);
  for (const name of readdirSync(tmpdir()))
    if (dead(name, temporary)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}

function isRun(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('run.js');
  } catch {
    return false;
  }
}

const lacks = missing();
if (lacks.length) {
  console.error(`make test-net needs root on Linux with network namespaces. Missing here:\n  ${lacks.join('\n  ')}`);
  process.exit(1);
}
removeStale();
if (process.argv.includes('--check')) process.exit(0);
const directory = mkdtempSync(join(tmpdir(), `${temporary}${process.pid}-`));
for (const p of places) ip('netns', 'add', own + p);
const child = spawn(
  'ip',
  [
    'netns',
    'exec',
    `${own}server`,
    process.execPath,
    fileURLToPath(new URL('scenes.js', import.meta.url)),
    ...process.argv.slice(2),
  ],
  { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, TMPDIR: directory, BECKON_NET: own } },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill('SIGKILL'));
child.on('exit', (code) => {
  for (const p of places) remove(own + p);
  rmSync(directory, { recursive: true, force: true });
  process.exitCode = code ?? 1;
});
