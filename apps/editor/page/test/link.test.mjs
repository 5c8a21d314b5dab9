// The line to the node: whatever fails on it, both ends agree in the end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeSet } from "@codemirror/state";
import { Link } from "../src/link.js";
import { textOf } from "../src/replica.js";

function dice(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const failure = (code) => Object.assign(new Error(code), { code });

/** A node as the app answers on it, which is away now and then and loses answers. */
class Node {
  text = "";
  title = "";
  version = 0;
  done = null;
  calls = [];
  readOnly = false;

  constructor(roll = () => 1) {
    this.roll = roll;
  }

  async execute(method, args) {
    this.calls.push(method);
    await null;
    if (this.roll(8) === 0) throw failure("NotReachable");
    const answer = this[method](args);
    if (this.roll(8) === 0) throw failure("NotReachable");
    return answer;
  }

  edit({ number, base, changes }) {
    if (this.done?.number === number) return { output: { applied: true, known: true, version: this.done.version }, committed: false };
    if (base !== String(this.version)) return { output: { applied: false, known: false, version: String(this.version) } };
    if (this.readOnly) return { output: { applied: true, known: false, version: "?" }, committed: false };
    for (const { from, to, insert } of changes.toReversed()) this.write(from, to, insert);
    this.done = { number, version: String(this.version) };
    return { output: { applied: true, known: false, version: this.done.version }, committed: true };
  }

  write(from, to, insert) {
    this.text = this.text.slice(0, from) + insert + this.text.slice(to);
    this.version += 1;
  }

  set_title({ title }) {
    if (this.readOnly) return { output: null, committed: false };
    this.title = title;
    return { output: null, committed: true };
  }

  read({ since }) {
    const version = String(this.version);
    return { output: { title: this.title, version, text: since === version ? null : this.text } };
  }
}

class Page {
  document = null;
  states = [];
  shownTitle = "";

  load(text) {
    this.document = textOf(text);
  }

  show(changes) {
    this.document = changes.apply(this.document);
  }

  title(text) {
    this.shownTitle = text;
  }

  state(name, reason) {
    this.states.push(reason ? `${name}: ${reason}` : name);
  }

  exchanged() {}
}

/** Lets all that can happen without waiting happen. */
async function settle(link) {
  for (let turn = 0; turn < 400 && link.state !== "settled"; turn += 1) await new Promise(setImmediate);
}

function line(node) {
  const page = new Page();
  // No pause takes time; a silence lasts until somebody rings.
  const sleep = (ms, signal) =>
    new Promise((resolve) => {
      if (ms < 2 ** 20) setImmediate(resolve);
      signal?.addEventListener("abort", resolve);
    });
  const link = new Link(node, page, "page", { sleep });
  const type = (from, to, insert) => {
    const changes = ChangeSet.of({ from, to, insert }, page.document.length, "\n");
    page.document = changes.apply(page.document);
    link.local(changes);
  };
  return { page, link, type };
}

test("what is typed while the node comes and goes arrives, once and in place", async () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const roll = dice(seed);
    const node = new Node(roll);
    const { page, link, type } = line(node);
    const running = link.run();
    await settle(link);
    let typed = 0;
    for (let step = 0; step < 60; step += 1) {
      const chance = roll(6);
      if (chance < 3) {
        const at = roll(page.document.length + 1);
        type(at, at, "x");
        typed += 1;
      } else if (chance === 3) {
        const at = roll(node.text.length + 1);
        node.write(at, at, "y");
        link.news();
      } else {
        await new Promise(setImmediate);
      }
    }
    node.roll = () => 1;
    link.news();
    await new Promise(setImmediate);
    await settle(link);
    assert.equal(link.state, "settled", `seed ${seed}`);
    assert.equal(page.document.toString(), node.text, `seed ${seed}`);
    assert.equal(node.text.replaceAll("y", "").length, typed, `seed ${seed}`);
    link.stop();
    await running;
  }
});

test("an idle line asks for nothing", async () => {
  const node = new Node();
  const { link } = line(node);
  link.run();
  await settle(link);
  assert.deepEqual(node.calls, ["read"]);
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  assert.deepEqual(node.calls, ["read"]);
  link.stop();
});

test("it is said when the node is away, and when it is back", async () => {
  const node = new Node();
  const { page, link, type } = line(node);
  link.run();
  await settle(link);
  node.execute = async () => {
    throw failure("NotReachable");
  };
  type(0, 0, "offline");
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  assert.equal(link.state, "away");
  assert.equal(page.document.toString(), "offline");
  delete node.execute;
  await settle(link);
  assert.equal(node.text, "offline");
  assert.deepEqual(page.states.filter((state, at, all) => state !== all[at - 1]).slice(-3), ["away", "sending", "settled"]);
  link.stop();
});

test("who may only read is told so", async () => {
  const node = new Node();
  node.readOnly = true;
  const { page, link, type } = line(node);
  const running = link.run();
  await settle(link);
  type(0, 0, "x");
  await running;
  assert.equal(page.states.at(-1), "reading: you may read here, not write");
});

test("an edit that the app refuses is not tried for ever", async () => {
  const node = new Node();
  const { page, link, type } = line(node);
  const running = link.run();
  await settle(link);
  node.edit = () => {
    throw Object.assign(failure("FunctionCallError"), { message: "no more room", data: {} });
  };
  type(0, 0, "x");
  await running;
  assert.equal(page.states.at(-1), "broken: no more room");
});

test("a node that is busy is asked again, but not for ever", async () => {
  for (const [busy, end] of [[5, "settled"], [1000, "broken: LimitExceeded"]]) {
    const node = new Node();
    const { page, link, type } = line(node);
    link.run();
    await settle(link);
    const edit = node.edit.bind(node);
    let left = busy;
    node.edit = (asked) => {
      left -= 1;
      if (left >= 0) throw failure("LimitExceeded");
      return edit(asked);
    };
    type(0, 0, "x");
    for (let turn = 0; turn < 60; turn += 1) await new Promise(setImmediate);
    assert.equal(page.states.at(-1), end);
    link.stop();
  }
});

test("a title that is typed is not overwritten by an older one, and a newer one is shown", async () => {
  const node = new Node();
  const { page, link } = line(node);
  link.run();
  await settle(link);
  link.retitle("Mine");
  await settle(link);
  assert.equal(node.title, "Mine");
  assert.equal(page.shownTitle, "");
  node.title = "Theirs";
  link.news();
  await new Promise(setImmediate);
  await settle(link);
  assert.equal(page.shownTitle, "Theirs");
  link.stop();
});
