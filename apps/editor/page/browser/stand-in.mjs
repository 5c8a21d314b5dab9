// Two nodes of a play, in this process: enough of a node's interface for the page, with the app's answers, and a network
// that can be cut. For the page alone; the real nodes' test is `f23` of the program.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const web = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "web");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain" };
/** As the node sends it: the page has to do with it. */
const CSP =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
  "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " +
  "frame-ancestors 'none'";

/** The client module that nodes serve, as far as the page uses it. */
const CLIENT = `
const post = async (path, body) => {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) }).catch(() => {
    throw Object.assign(new Error("away"), { code: "NotReachable" });
  });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { code: "InternalError" });
  return answer.json();
};
const context = {
  info: async () => ({ identity: "somebody" }),
  execute: (method, args) => post("/call", { method, args }),
  say: (kind, payload) => post("/say", { kind, payload }),
  subscribe(told) {
    const open = () => {
      const events = new EventSource("/events");
      events.onopen = () => told.state("open");
      events.onmessage = ({ data }) => told.event(JSON.parse(data));
      events.onerror = () => {
        events.close();
        told.state("closed");
        setTimeout(open, 200);
      };
    };
    open();
  },
};
export const Mesto = { ofPage: async () => ({ context: () => context }) };
`;

class Node {
  /** Characters in order, each with the next; the first is none. */
  first = { id: "", text: "", gone: true, next: null };
  byId = new Map([[null, this.first]]);
  seen = new Set();
  title = { text: "", stamp: 0 };
  version = 0;
  /** The text of each version. */
  texts = [""];
  done = new Map();
  listeners = new Set();

  *chars() {
    for (let char = this.first.next; char !== null; char = char.next) if (!char.gone) yield char;
  }

  text() {
    return Array.from(this.chars(), (char) => char.text).join("");
  }

  /** From one version to the next, as one change. */
  step(version) {
    const [old, now] = [Array.from(this.texts[version]), Array.from(this.texts[version + 1])];
    let start = 0;
    while (start < Math.min(old.length, now.length) && old[start] === now[start]) start += 1;
    let end = 0;
    while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
    const units = (characters) => characters.join("").length;
    const from = units(old.slice(0, start));
    const to = from + units(old.slice(start, old.length - end));
    return { from, to, insert: now.slice(start, now.length - end).join("") };
  }
}

/** A network of two whose texts merge by characters that name the one before them. */
export async function standIn() {
  const nodes = [new Node(), new Node()];
  let joined = true;
  let clock = 1;
  const log = [];

  /** Puts a character after the one that it names, before what is older there. */
  function take(node, op) {
    if (op.gone) {
      node.byId.get(op.id).gone = true;
    } else if (op.title !== undefined) {
      if (op.stamp > node.title.stamp) node.title = { text: op.title, stamp: op.stamp };
    } else {
      let before = node.byId.get(op.after);
      while (before.next !== null && before.next.id > op.id) before = before.next;
      before.next = { id: op.id, text: op.text, gone: false, next: before.next };
      node.byId.set(op.id, before.next);
    }
    node.seen.add(op);
  }
  for (const node of nodes) node.seen = new Set();

  function tell(node, event) {
    for (const listener of node.listeners) listener.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  function spread() {
    for (const node of nodes) {
      const missing = log.filter((op) => !node.seen.has(op) && (joined || op.by === nodes.indexOf(node)));
      if (missing.length === 0) continue;
      missing.forEach((op) => take(node, op));
      node.version += 1;
      node.texts.push(node.text());
      tell(node, { type: "StateMutation", data: {} });
    }
  }

  function splice(node, { from, to, insert }) {
    const by = nodes.indexOf(node);
    let at = 0;
    let after = null;
    for (const char of node.chars()) {
      if (at >= to && at >= from) break;
      if (at >= from) log.push({ by, id: char.id, gone: true });
      else after = char.id;
      at += char.text.length;
    }
    for (const text of insert) {
      const id = `${String(clock++).padStart(9, "0")}-${by}`;
      log.push({ by, id, after, text });
      after = id;
    }
  }

  const methods = {
    edit(node, { session, number, base, changes }) {
      const known = node.done.get(session);
      if (known?.number === number) return { output: { applied: true, known: true, version: known.version }, committed: false };
      if (base !== String(node.version)) return { output: { applied: false, known: false, version: String(node.version) } };
      for (const change of changes.toReversed()) splice(node, change);
      spread();
      node.done.set(session, { number, version: String(node.version) });
      return { output: { applied: true, known: false, version: String(node.version) }, committed: true };
    },
    read(node, { since }) {
      const version = String(node.version);
      // Of what is long ago it has no memory.
      const behind = node.version - Number(since);
      const isKnown = since !== null && behind >= 0 && behind < 5;
      const steps = isKnown ? Array.from({ length: behind }, (_, n) => node.step(Number(since) + n)) : null;
      return { output: { title: node.title.text, version, steps, text: isKnown ? null : node.text() } };
    },
    set_title(node, { title }) {
      log.push({ by: nodes.indexOf(node), title, stamp: clock++ });
      spread();
      return { output: null, committed: true };
    },
  };

  async function answer(node, request, response) {
    const path = new URL(request.url, "http://node").pathname;
    if (path === "/client.js") return send(response, 200, "text/javascript", CLIENT);
    if (path === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": open\n\n");
      node.listeners.add(response);
      response.on("close", () => node.listeners.delete(response));
      return;
    }
    if (request.method === "POST") {
      let body = "";
      for await (const part of request) body += part;
      const asked = JSON.parse(body);
      if (path === "/say") {
        for (const other of joined ? nodes : [node]) tell(other, { type: "Ephemeral", data: asked });
        return send(response, 200, "application/json", "{}");
      }
      return send(response, 200, "application/json", JSON.stringify(methods[asked.method](node, asked.args)));
    }
    const file = path === "/" ? "/index.html" : path;
    send(response, 200, TYPES[extname(file)], readFileSync(join(web, file)), { "content-security-policy": CSP });
  }

  function send(response, status, type, body, more = {}) {
    response.writeHead(status, { "content-type": `${type}; charset=utf-8`, "x-content-type-options": "nosniff", ...more });
    response.end(body);
  }

  const servers = [];
  const ports = [0, 0];
  async function start(n) {
    const server = createServer((request, response) => {
      answer(nodes[n], request, response).catch((error) => send(response, 500, "text/plain", String(error)));
    });
    await new Promise((resolve) => server.listen(ports[n], "127.0.0.1", resolve));
    ports[n] = server.address().port;
    servers[n] = server;
  }
  async function stop(n) {
    servers[n].closeAllConnections();
    await new Promise((resolve) => servers[n].close(resolve));
  }
  await start(0);
  await start(1);
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}/`),
    text: async (n) => nodes[n].text(),
    async apart(first, second) {
      joined = false;
      await Promise.all([first(), second()]);
      joined = true;
      spread();
    },
    start,
    stop,
    close: () => Promise.all([stop(0), stop(1)]),
  };
}
