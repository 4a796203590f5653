// Helpers of the browser tests: a real server with real media on a free port of 127.0.0.1, and users with browser
// contexts of their own.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer as createHTTPServer } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const TIME_LIMIT = 25_000; // milliseconds for any single wait: a bound against hanging, not a measurement
export const root = process.env.BECKON_E2E_ROOT ?? fileURLToPath(new URL('../..', import.meta.url));
const nodes = Number(process.env.BECKON_E2E_NODES ?? 1); // several nodes run behind a TCP proxy: bin/cluster
const beckon = join(root, 'bin', 'beckon');
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BECKON_')));

/** Returns a free port, below those that systems take for outgoing connections: one of these could take it meanwhile. */
export async function freePort() {
  for (;;) {
    const s = createServer().listen(15_000 + Math.floor(17_000 * Math.random()), '127.0.0.1');
    try {
      await once(s, 'listening');
    } catch {
      continue; // in use
    }
    const { port } = s.address();
    s.close();
    return port;
  }
}

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/**
 * Serves the pages from an origin of their own: by default http://localhost:<port>, another site than 127.0.0.1. They
 * name the server in <meta name="beckon-server">. Its list of demo users, which has no CORS headers, is passed on.
 */
async function servePages(server, host) {
  const dist = join(root, 'web', 'dist');
  const pages = createHTTPServer(async (req, res) => {
    try {
      const { pathname } = new URL(req.url, server);
      if (pathname === '/demo/people') {
        res.setHeader('Content-Type', 'application/json');
        return res.end(await (await fetch(server + pathname)).text());
      }
      const name = normalize(pathname === '/' ? '/index.html' : pathname);
      let body = await readFile(join(dist, name));
      if (name === '/index.html')
        body = String(body).replace('<head>', `<head><meta name="beckon-server" content="${server}" />`);
      res.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream');
      res.end(body);
    } catch {
      res.writeHead(404).end();
    }
  }).listen(0, host);
  await once(pages, 'listening');
  return pages;
}

/**
 * The server of a test: one node, or several behind a proxy. It can be killed and restarted on the same data and port.
 */
export class Cluster {
  /** more are environment variables. host is the address of the server, and otherHost that of the other origin. */
  static async start(more = {}, { host = '127.0.0.1', otherHost = 'localhost' } = {}) {
    const h = new Cluster();
    h.host = host;
    h.port = await freePort();
    h.url = `http://${host}:${h.port}`;
    h.pages = await h.servePages(h.url, otherHost === 'localhost' ? host : otherHost);
    h.otherOrigin = `http://${otherHost}:${h.pages.address().port}`; // the only other origin that may connect
    h.env = { ...env, BECKON_ORIGINS: h.otherOrigin, ...more };
    h.dir = mkdtempSync(join(tmpdir(), 'beckon-e2e-'));
    await h.run();
    return h;
  }

  /** Serves the pages from another origin; they use the server at this address. */
  servePages(server, host = '127.0.0.1') {
    return servePages(server, host);
  }

  async run() {
    if (!existsSync(beckon)) throw new Error(`${beckon} is missing: run make build`);
    if (this.child && nodes > 1) {
      // only the nodes were killed, not PostgreSQL, NATS and the proxy
      this.child.kill('SIGUSR2');
      return this.waitForLog('started again');
    }
    const [program, args] =
      nodes > 1
        ? [
            join(root, 'bin', 'cluster'),
            ['-nodes', nodes, '-program', beckon, '-command', 'dev', '-media', '-listen', `${this.host}:${this.port}`],
          ]
        : [beckon, ['dev', '--listen', `${this.host}:${this.port}`, '--data', this.dir]];
    this.child = spawn(program, args, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.log = '';
    for (const s of [this.child.stdout, this.child.stderr])
      s.on('data', (b) => {
        this.log += b;
      });
    await this.waitForLog('API key');
    while (!/API key\s+\S+\s/.test(this.log)) await new Promise((resolve) => setTimeout(resolve, 20)); // the whole line
    this.apiKey = /API key\s+(\S+)/.exec(this.log)[1];
  }

  async waitForLog(text) {
    const until = Date.now() + TIME_LIMIT;
    while (!this.log.includes(text)) {
      if (this.child.exitCode !== null || Date.now() > until) throw new Error(`the server did not start:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async kill(signal = 'SIGKILL') {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    if (nodes > 1 && signal === 'SIGKILL') {
      this.child.kill('SIGUSR1');
      return this.waitForLog('killed');
    }
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }

  async stop() {
    this.pages.close();
    this.pages.closeAllConnections();
    await this.kill('SIGTERM');
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Calls a method as an app server, optionally on behalf of a user. */
  async call(method, body = {}, user) {
    const res = await fetch(`${this.url}/v1/${method}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.apiKey}`, ...(user ? { 'Beckon-User': user } : {}) },
      body: JSON.stringify(body),
    });
    const answer = await res.json();
    if (!res.ok) throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return answer;
  }
}

/** launchServer starts a separate browser process, which can be killed. Use connect to control it. */
export function launchServer(options = {}) {
  return chromium.launchServer(settings(options));
}

export function connect(server) {
  return chromium.connect(server.wsEndpoint());
}

export function launch(options = {}) {
  return chromium.launch(settings(options));
}

/** Returns the path of the browser: CHROMIUM, or an installed one. */
export function browserProgram() {
  return process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
}

function settings(options) {
  return {
    executablePath: options.executablePath ?? browserProgram(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-features=WebRtcHideLocalIpsWithMdns',
      '--disable-renderer-backgrounding',
      '--disable-background-timer-throttling',
      ...(options.args ?? []),
    ],
  };
}

/**
 * A user with a browser context of their own and any number of tabs. With otherOrigin the pages are those of another
 * origin than the server's; with network they reach the server through it.
 */
export class User {
  constructor(cluster, context, name, { otherOrigin = false, network } = {}) {
    const url = network?.url ?? (otherOrigin ? cluster.otherOrigin : cluster.url);
    Object.assign(this, { cluster, context, name, url });
  }

  static async signIn(cluster, browser, name, options = {}) {
    const context = await browser.newContext({
      permissions: options.permissions ?? ['camera', 'microphone'],
      viewport: { width: 1180, height: 760 },
      ...options.context,
    });
    context.setDefaultTimeout(TIME_LIMIT);
    const p = new User(cluster, context, name, options);
    await options.network?.carry(context);
    await options.prepare?.(context);
    p.page = await p.tab();
    return p;
  }

  /** Returns a user with any ID, signed in with a token. */
  static async withToken(cluster, browser, userID, options = {}) {
    const { token } = await cluster.call('createToken', { userID });
    const context = await browser.newContext({
      permissions: ['camera', 'microphone'],
      viewport: { width: 800, height: 600 },
    });
    context.setDefaultTimeout(TIME_LIMIT);
    const p = new User(cluster, context, userID, options);
    await context.addInitScript((saved) => sessionStorage.setItem('beckon.session', JSON.stringify(saved)), {
      userID,
      token,
      nick: userID,
    });
    p.page = await p.visit();
    return p;
  }

  /** Opens a tab in a context that is signed in. */
  async visit() {
    const page = await this.context.newPage();
    page.on('pageerror', (err) => {
      this.cluster.faults ??= [];
      this.cluster.faults.push(`${this.name}: ${err.stack ?? err}`);
    });
    await page.goto(this.url);
    await page.getByRole('navigation', { name: 'Conversations and rooms' }).waitFor();
    return page;
  }

  /** Opens a tab and signs in. */
  async tab() {
    const page = await this.context.newPage();
    page.on('pageerror', (err) => {
      this.cluster.faults ??= [];
      this.cluster.faults.push(`${this.name}: ${err.stack ?? err}`);
    });
    await page.goto(this.url);
    await page.getByRole('button', { name: this.name, exact: true }).click();
    await page.getByRole('navigation', { name: 'Conversations and rooms' }).waitFor();
    return page;
  }

  async open(...parts) {
    await this.page.evaluate(
      (hash) => {
        location.hash = hash;
      },
      `#/${parts.join('/')}`,
    );
  }

  async leave() {
    await this.context.close();
  }
}

/** Waits until the video of a user plays: it has a size and its time advances. Returns its width in pixels. */
export async function waitForVideo(page, userID, source = 'camera') {
  const video = `[data-user="${userID}"] video[data-source="${source}"]`;
  await page.waitForFunction(
    (q) => {
      const v = document.querySelector(q);
      return v && v.videoWidth > 0 && v.currentTime > 0;
    },
    video,
    { timeout: TIME_LIMIT },
  );
  // after a reload of the user, a new element replaces this one: its time begins again
  const width = await page.waitForFunction(
    ([q, id]) => {
      const v = document.querySelector(q);
      const since = ((window.beckonVideos ??= {})[id] ??= new WeakMap());
      if (v && !since.has(v)) since.set(v, v.currentTime);
      return v && v.currentTime > since.get(v) + 0.2 && v.videoWidth;
    },
    [video, randomUUID()],
    { timeout: TIME_LIMIT },
  );
  return width.jsonValue();
}

/** Waits until audio arrives from howMany users: inbound tracks have energy. */
export async function waitForAudio(page, howMany = 1) {
  await page.waitForFunction(
    async (n) => {
      const loud = await Promise.all(
        (window.beckonPeers?.() ?? []).map(async (pc) => {
          const list = [...(await pc.getStats()).values()];
          return list.filter(
            (r) =>
              r.type === 'inbound-rtp' && r.kind === 'audio' && r.totalAudioEnergy > 0 && r.audioLevel !== undefined,
          ).length;
        }),
      );
      return loud.reduce((a, b) => a + b, 0) >= n;
    },
    howMany,
    { timeout: TIME_LIMIT, polling: 200 },
  );
}

/** Exposes the peer connections of pages to tests, for their statistics. */
export async function watchPeers(context) {
  await context.addInitScript(() => {
    const all = [];
    const Real = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Real {
      constructor(...args) {
        super(...args);
        all.push(this);
      }
    };
    window.beckonPeers = () => all.filter((pc) => pc.connectionState === 'connected');
  });
}

/** The messages of the open conversation. */
export const log = (p) => p.page.getByRole('log', { name: 'Messages' });

/** The bubble with these words; quotes of them do not count. */
export const bubble = (p, text) =>
  log(p)
    .locator('.bubble', { has: p.page.locator('.words', { hasText: text }) })
    .last();

/** Writes a message into the open conversation. */
export async function write(p, text) {
  await p.page.getByLabel('Write a message').fill(text);
  await p.page.getByLabel('Write a message').press('Enter');
}
