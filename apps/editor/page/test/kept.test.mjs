// What outlives a page: whenever it is closed, whatever was lost, all that was typed arrives, and nothing twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeSet } from "@codemirror/state";
import { hold, Kept, sendKept, sendWhatIsLeft, sessionsWithSomething } from "../src/kept.js";
import { Link } from "../src/link.js";
import { textOf } from "../src/replica.js";

function dice(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** As browsers have it; `room` is how many characters fit. */
class Storage {
  #values = new Map();

  constructor(room = Infinity) {
    this.room = room;
  }

  get length() {
    return this.#values.size;
  }

  key(n) {
    return [...this.#values.keys()][n] ?? null;
  }

  getItem(key) {
    return this.#values.get(key) ?? null;
  }

  setItem(key, value) {
    if (value.length > this.room) throw new Error("QuotaExceededError");
    this.#values.set(key, value);
  }

  removeItem(key) {
    this.#values.delete(key);
  }
}

/** Locks as browsers have them; `end` is what happens to those of a page that goes away. */
class Locks {
  #held = new Set();
  #waiting = [];

  async request(name, body) {
    while (this.#held.has(name)) await new Promise((resolve) => this.#waiting.push(resolve));
    this.#held.add(name);
    await body();
    this.end(name);
  }

  end(name) {
    this.#held.delete(name);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A node that is away now and then, loses answers, and forgets how its text came to be. */
class Node {
  text = "";
  title = "";
  steps = [];
  done = new Map();
  isAway = false;

  constructor(roll) {
    this.roll = roll;
  }

  async execute(method, args) {
    await null;
    if (this.isAway || this.roll(6) === 0) throw Object.assign(new Error("away"), { code: "NotReachable" });
    const answer = this[method](args);
    await null;
    if (this.isAway || this.roll(6) === 0) throw Object.assign(new Error("away"), { code: "NotReachable" });
    return answer;
  }

  get version() {
    return String(this.steps.length);
  }

  edit({ session, number, base, changes }) {
    const known = this.done.get(session);
    if (known?.number === number) return { output: { applied: true, known: true, version: known.version }, committed: false };
    if (base !== this.version) return { output: { applied: false, known: false, version: this.version } };
    for (const { from, to, insert } of changes.toReversed()) this.write(from, to, insert);
    this.done.set(session, { number, version: this.version });
    return { output: { applied: true, known: false, version: this.version }, committed: true };
  }

  write(from, to, insert) {
    assert(from <= to && to <= this.text.length, "a place of the text");
    this.text = this.text.slice(0, from) + insert + this.text.slice(to);
    this.steps.push({ from, to, insert });
  }

  set_title({ title }) {
    this.title = title;
    return { output: null, committed: true };
  }

  read({ since }) {
    const { version, title, text } = this;
    if (since === null || (since !== version && this.forgets)) return { output: { title, version, steps: null, text } };
    return { output: { title, version, steps: this.steps.slice(Number(since)), text: null } };
  }
}

const sleep = (ms, signal) =>
  new Promise((resolve) => {
    if (ms < 2 ** 20) setImmediate(resolve);
    signal?.addEventListener("abort", resolve);
  });

/** A page with a line to the node, which keeps what is pending. */
class Page {
  document = null;

  constructor(node, storage, session) {
    this.kept = new Kept(storage, "me", session);
    this.link = new Link(node, this, session, { kept: this.kept, sleep });
    this.running = this.link.run();
  }

  load(text) {
    this.document = textOf(text);
  }

  show(changes) {
    this.document = changes.apply(this.document);
  }

  title() {}
  state() {}
  exchanged() {}

  type(from, to, insert) {
    const changes = ChangeSet.of({ from, to, insert }, this.document.length, "\n");
    this.document = changes.apply(this.document);
    this.link.local(changes);
  }
}

const turn = () => new Promise(setImmediate);

async function opened(node, storage, session) {
  const page = new Page(node, storage, session);
  while (page.document === null) await turn();
  return page;
}

/** A person writes on pages that are closed at any moment; what they leave is sent by nobody until the end, or at once. */
async function lives(seed, { forgets, crashes }) {
  const roll = dice(seed);
  const node = new Node(roll);
  const storage = new Storage();
  let typed = "";
  for (let life = 0; life < 4; life += 1) {
    const session = `p${life}`;
    const page = await opened(node, storage, session);
    for (let step = 0; step < 20; step += 1) {
      const chance = roll(6);
      if (chance < 3) {
        const letter = String.fromCharCode(0x4e00 + typed.length);
        const at = roll(page.document.length + 1);
        page.type(at, at, letter);
        typed += letter;
      } else if (chance === 3) {
        const at = roll(node.text.length + 1);
        node.write(at, at, "y");
        page.link.news();
      } else {
        await turn();
      }
    }
    if (!crashes) page.link.keepText();
    // It is gone: what is under way may arrive, no answer is heard.
    page.link.stop();
    page.kept.put = () => {};
    page.kept.putText = () => {};
    node.forgets = forgets && roll(2) === 0;
    if (roll(2) === 0) await sendKept(new Kept(storage, "me", session), node, session, sleep);
  }
  node.roll = () => 1;
  for (const session of sessionsWithSomething(storage, "me")) {
    await sendKept(new Kept(storage, "me", session), node, session, sleep);
  }
  assert.equal(storage.length, 0, `seed ${seed}: nothing is left`);
  const arrived = [...node.text].filter((letter) => letter !== "y").sort().join("");
  assert.equal(arrived, [...typed].sort().join(""), `seed ${seed}`);
}

test("what is typed arrives once, whenever the page is closed", async () => {
  for (let seed = 1; seed <= 200; seed += 1) await lives(seed, { forgets: false, crashes: true });
});

test("it does so if the node has forgotten how the text came to be, with the text that was kept", async () => {
  for (let seed = 1; seed <= 200; seed += 1) await lives(seed, { forgets: true, crashes: false });
});

test("it does so if the text was not kept either", async () => {
  for (let seed = 1; seed <= 200; seed += 1) await lives(seed, { forgets: true, crashes: true });
});

/** A page writes while the node is away, and is closed. */
async function left(text, write, { crashes = false } = {}) {
  const node = new Node(() => 1);
  node.write(0, 0, text);
  const storage = new Storage();
  const page = await opened(node, storage, "p");
  node.isAway = true;
  write(page);
  for (let n = 0; n < 5; n += 1) await turn();
  if (!crashes) page.link.keepText();
  page.link.stop();
  node.isAway = false;
  return { node, storage };
}

test("places are carried over what others wrote meanwhile, and deletions count", async () => {
  for (const forgets of [false, true]) {
    const { node, storage } = await left("one three five", (page) => {
      page.type(9, 14, "");
      page.type(4, 4, "two ");
      page.link.retitle("Numbers");
    });
    node.forgets = forgets;
    node.write(0, 0, "zero ");
    await sendKept(new Kept(storage, "me", "p"), node, "p", sleep);
    assert.equal(node.text, "zero one two three");
    assert.equal(node.title, "Numbers");
    assert.equal(storage.length, 0);
  }
});

test("where the way is not known what was typed is kept whole, and nothing is deleted", async () => {
  const { node, storage } = await left("abcdefgh", (page) => {
    page.type(2, 6, "XY");
    page.type(6, 6, "Z");
  });
  storage.removeItem("mesto.editor.kept.me.p.text");
  node.forgets = true;
  node.write(0, 8, "a😀");
  await sendKept(new Kept(storage, "me", "p"), node, "p", sleep);
  assert.equal([...node.text].sort().join(""), [..."aXY😀Z"].sort().join(""));
  assert(node.text.isWellFormed?.() ?? true);
});

test("what a living page has pending nobody else sends; when it ends another one does at once", async () => {
  const node = new Node(() => 1);
  const [storage, locks] = [new Storage(), new Locks()];
  const page = await opened(node, storage, "p");
  hold(locks, "p");
  node.isAway = true;
  page.type(0, 0, "x");
  sendWhatIsLeft({ locks, storage, owner: "me", own: "q", node });
  sendWhatIsLeft({ locks, storage, owner: "somebody else", own: "r", node });
  page.link.stop();
  for (let n = 0; n < 5; n += 1) await turn();
  node.isAway = false;
  for (let n = 0; n < 20; n += 1) await turn();
  assert.equal(node.text, "");
  locks.end("mesto.editor.session.p");
  for (let n = 0; n < 50 && storage.length > 0; n += 1) await turn();
  assert.equal(node.text, "x");
  assert.equal(storage.length, 0);
});

test("where there is no room it is said that what is typed is not kept", async () => {
  const node = new Node(() => 1);
  const storage = new Storage(1000);
  const page = await opened(node, storage, "p");
  node.isAway = true;
  page.type(0, 0, "x".repeat(100));
  assert(page.kept.isSafe);
  page.type(0, 0, "x".repeat(2000));
  assert(!page.kept.isSafe);
  node.isAway = false;
  while (page.link.state !== "settled") await turn();
  assert(page.kept.isSafe);
  assert.equal(node.text.length, 2100);
  assert.equal(storage.length, 0);
  page.link.stop();
});
