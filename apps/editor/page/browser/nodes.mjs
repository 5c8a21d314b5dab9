// Two real nodes: processes of the program (`MESTO_PROGRAM`) that run the app (`MESTO_BUNDLE`), in homes of their own.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** How long a command may take on a machine that is busy with other things, in milliseconds. */
const COMMAND_MS = 60_000;

class Node {
  constructor(program, home, port) {
    this.program = program;
    this.home = home;
    this.port = port;
  }

  /** Asks the program for something, and gives its JSON. */
  async ask(...args) {
    const { stdout } = await run(this.program, ["--home", this.home, "--json", ...args], {
      timeout: COMMAND_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    return JSON.parse(stdout);
  }

  async init() {
    const api = `127.0.0.1:${this.port}`;
    await this.ask("init", "--no-mdns", "--api-listen", api, "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1");
  }

  async start() {
    this.process = spawn(this.program, ["--home", this.home, "run"], { stdio: ["ignore", "pipe", "ignore"] });
    for await (const line of createInterface({ input: this.process.stdout })) {
      if (JSON.parse(line).event === "ready") return;
    }
    throw new Error(`the node in ${this.home} ended before it was ready`);
  }

  async stop() {
    if (this.process.exitCode !== null) return;
    this.process.kill("SIGTERM");
    await once(this.process, "exit");
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Two nodes in one group with one text, and the addresses of its page on each. */
export async function realNodes(program, bundle) {
  const folder = mkdtempSync(join(tmpdir(), "mesto-browser-"));
  const nodes = [];
  for (const name of ["ada", "bo"]) {
    const node = new Node(program, join(folder, name), await freePort());
    await node.init();
    await node.start();
    nodes.push(node);
  }
  const [ada, bo] = nodes;
  const { applicationId } = await ada.ask("app", "install", bundle);
  const { groupId } = await ada.ask("group", "create", "--name", "writers", "--app", applicationId);
  const { contextId } = await ada.ask("context", "create", groupId, "--name", "text");
  const { ticket } = await ada.ask("invite", groupId);
  await bo.ask("join", ticket, "--wait");
  await bo.ask("context", "join", contextId, "--wait");
  const opened = await Promise.all(nodes.map((node) => node.ask("open", contextId, "--print")));
  return {
    urls: opened.map(({ url }) => url),
    text: async (n) => (await nodes[n].ask("call", contextId, "text")).output,
    // Only one node is there at a time, so neither sees what is typed on the other.
    async apart(first, second) {
      await bo.stop();
      await first();
      await ada.stop();
      await bo.start();
      await second();
      await ada.start();
    },
    start: (n) => nodes[n].start(),
    stop: (n) => nodes[n].stop(),
    async close() {
      await Promise.all(nodes.map((node) => node.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
