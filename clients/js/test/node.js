// A real node for the tests: the program that the workspace builds, on a home of its own.

import { spawn, execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL('../../../target', import.meta.url));
const program = process.env.MESTO_PROGRAM ?? join(target, 'debug', 'mesto');
const kv = process.env.MESTO_KV ?? join(target, 'apps', 'kv.mpk');

/** What the shell around the tests says about other nodes is none of their business. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MESTO_')));

export class Node {
  static async start() {
    const home = await mkdtemp(join(tmpdir(), 'mesto-js-'));
    const node = new Node(home);
    await node.cli('init', '--api-listen', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns');
    await node.run();
    node.token = (await readFile(join(home, 'token'), 'utf8')).trim();
    return node;
  }

  constructor(home) {
    this.home = home;
  }

  async run(port = 0) {
    this.process = spawn(program, ['--home', this.home, 'run', '--api-listen', `127.0.0.1:${port}`], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = await once(createInterface(this.process.stdout), 'line');
    this.url = JSON.parse(line).api;
  }

  async cli(...args) {
    const { stdout } = await promisify(execFile)(program, ['--home', this.home, '--json', ...args], { env });
    return JSON.parse(stdout);
  }

  /** Runs a command that reads its standard input. */
  async cliReading(input, ...args) {
    const child = spawn(program, ['--home', this.home, '--json', ...args], { env, stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.end(input);
    const [status] = await once(child, 'exit');
    if (status !== 0) throw new Error(`${args.join(' ')}: ${status}`);
  }

  /** A context of `kv`. */
  async context() {
    const { applicationId } = await this.cli('app', 'install', kv);
    const { groupId } = await this.cli('group', 'create', '--app', applicationId);
    return (await this.cli('context', 'create', groupId)).contextId;
  }

  /** Ends the process and starts another on the same home and port. */
  async restart() {
    const port = new URL(this.url).port;
    await this.end();
    await this.run(port);
  }

  async end() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
  }

  async stop() {
    await this.end();
    await rm(this.home, { recursive: true });
  }
}

/** Passes connections on to a node, and can break them. */
export class Wire {
  static async to(url) {
    const wire = new Wire();
    const { hostname, port } = new URL(url);
    wire.open = true;
    wire.sockets = new Set();
    wire.server = createServer((here) => {
      if (!wire.open) return here.destroy();
      const there = connect(Number(port), hostname);
      for (const socket of [here, there]) {
        wire.sockets.add(socket);
        socket.on('error', () => {}); // breaking is what it is for
        socket.on('close', () => wire.sockets.delete(socket));
      }
      here.pipe(there).pipe(here);
    });
    wire.server.listen(0, '127.0.0.1');
    await once(wire.server, 'listening');
    wire.url = `http://127.0.0.1:${wire.server.address().port}`;
    return wire;
  }

  cut() {
    this.open = false;
    for (const socket of this.sockets) socket.destroy();
  }

  mend() {
    this.open = true;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

/** Waits until something is so. */
export async function until(what, look, within = 20_000) {
  const end = Date.now() + within;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`not so within ${within} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
