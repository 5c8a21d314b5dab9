// The laws of a replica, over random histories of a node that others write to, of answers that get lost, and of a
// person who types all the while.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeSet } from "@codemirror/state";
import { isWellFormed, split, toSplices, toWellFormed, wellFormed } from "../src/edits.js";
import { difference } from "../src/difference.js";
import { Replica, textOf } from "../src/replica.js";

/** A generator of numbers below `n`, the same for the same seed (mulberry32). */
function dice(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const ALPHABET = ["a", "b", "c", " ", "\n", "é", "e\u0301", "😀", "👩‍👧", "\r", "字"];

function word(roll, longest = 5) {
  return Array.from({ length: 1 + roll(longest) }, () => ALPHABET[roll(ALPHABET.length)]).join("");
}

/** Places between the characters of a text. */
function places(text) {
  const found = [0];
  for (const character of text) found.push(found.at(-1) + character.length);
  return found;
}

/** A random change of `text` that cuts no character. */
function change(roll, text) {
  const at = places(text);
  const from = at[roll(at.length)];
  const to = roll(3) === 0 ? at[Math.min(at.indexOf(from) + roll(4), at.length - 1)] : from;
  const insert = to > from && roll(2) ? "" : word(roll);
  return { from, to, insert };
}

/** What a node is to a page: a text with a version, edits that are taken once and only on their base, a history. */
class Node {
  text = "";
  version = 0;
  history = [];
  done = new Map();

  write(splices) {
    let text = this.text;
    for (const { from, to, insert } of splices.toReversed()) text = text.slice(0, from) + insert + text.slice(to);
    assert(isWellFormed(text), "the node counts in characters");
    this.history.push({ before: this.version, splices });
    this.text = text;
    this.version += 1;
  }

  edit({ session, number, base, changes }) {
    const known = this.done.get(session);
    if (known?.number === number) return { applied: true, version: known.version };
    if (base !== this.version) return { applied: false, version: this.version };
    this.write(changes);
    this.done.set(session, { number, version: this.version });
    return { applied: true, version: this.version };
  }

  since(version) {
    return this.history.filter((entry) => entry.before >= version).flatMap((entry) => entry.splices.toReversed());
  }
}

/** A page: a replica and the document that a person sees, kept by the changes that it is told to show. */
class Page {
  constructor(session, node) {
    this.replica = new Replica(session, node.version, node.text);
    this.document = textOf(node.text);
  }

  type(splice) {
    const changes = ChangeSet.of(splice, this.document.length, "\n");
    this.replica.local(changes);
    this.document = changes.apply(this.document);
  }

  show(changes) {
    this.document = changes.apply(this.document);
    this.check();
  }

  check() {
    assert.equal(this.document.toString(), this.replica.document.toString(), "the document is what the replica says");
  }

  /** One exchange; `lost` if the answer to an edit does not arrive. */
  exchange(node, { lost, forgetful }) {
    const edit = this.replica.edit();
    if (edit) {
      const answer = node.edit(edit);
      if (lost) return;
      if (answer.applied) this.replica.accepted(answer.version);
    }
    this.read(node, forgetful);
  }

  read(node, forgetful) {
    if (node.version === this.replica.version) return;
    const shown = forgetful
      ? this.replica.reread(node.version, node.text)
      : this.replica.moved(node.version, node.since(this.replica.version));
    this.show(shown);
  }
}

function history(seed, steps) {
  const roll = dice(seed);
  const node = new Node();
  const pages = [new Page("a", node), new Page("b", node)];
  for (let step = 0; step < steps; step += 1) {
    const page = pages[roll(pages.length)];
    switch (roll(4)) {
      case 0:
      case 1:
        page.type(change(roll, page.document.toString()));
        break;
      case 2:
        page.exchange(node, { lost: roll(4) === 0, forgetful: roll(3) === 0 });
        break;
      default:
        node.write([change(roll, node.text)]);
    }
    page.check();
  }
  return { node, pages, roll };
}

test("whatever is lost, delayed or concurrent, all pages end with the node's text", () => {
  for (let seed = 1; seed <= 1500; seed += 1) {
    const { node, pages } = history(seed, 40);
    for (let round = 0; pages.some((page) => page.replica.isPending || page.replica.version !== node.version); round += 1) {
      assert(round < 100, `seed ${seed} does not end`);
      for (const page of pages) page.exchange(node, { lost: false, forgetful: round % 2 === 0 });
    }
    for (const page of pages) {
      assert.equal(page.document.toString(), node.text, `seed ${seed}`);
      assert.equal(page.replica.confirmed.toString(), node.text, `seed ${seed}`);
    }
  }
});

test("every character that was typed arrives once, also if answers get lost", () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const roll = dice(seed);
    const node = new Node();
    const page = new Page("a", node);
    let typed = 0;
    for (let step = 0; step < 40; step += 1) {
      if (roll(2)) {
        const at = places(page.document.toString());
        page.type({ from: at[roll(at.length)], insert: "x" });
        typed += 1;
      } else if (roll(2)) {
        const at = places(node.text);
        const from = at[roll(at.length)];
        node.write([{ from, to: from, insert: "y" }]);
      } else {
        page.exchange(node, { lost: roll(2) === 0, forgetful: false });
      }
    }
    while (page.replica.isPending) page.exchange(node, { lost: false, forgetful: false });
    page.read(node, false);
    assert.equal(node.text.replaceAll("y", "").length, typed, `seed ${seed}`);
  }
});

test("a word that is being typed stays in one piece when somebody types at its end", () => {
  const node = new Node();
  const page = new Page("a", node);
  page.type({ from: 0, insert: "ab" });
  page.exchange(node, {});
  page.type({ from: 2, insert: "c" });
  node.write([{ from: 2, to: 2, insert: "XYZ" }]);
  page.exchange(node, {});
  page.type({ from: 3, insert: "d" });
  while (page.replica.isPending) page.exchange(node, {});
  assert.equal(page.document.toString(), "abcdXYZ");
  assert.equal(node.text, "abcdXYZ");
});

test("what others wrote far apart does not displace what was written offline between it", () => {
  const text = `${"left ".repeat(200)}middle${" right".repeat(200)}`;
  const node = new Node();
  node.write([{ from: 0, to: 0, insert: text }]);
  const page = new Page("a", node);
  page.type({ from: text.indexOf("middle") + 3, insert: "***" });
  node.write([{ from: 0, to: 0, insert: "first " }]);
  node.write([{ from: node.text.length, to: node.text.length, insert: " last" }]);
  page.exchange(node, { forgetful: true });
  page.exchange(node, {});
  assert.equal(node.text, `first ${text.replace("middle", "mid***dle")} last`);
});

test("an edit is cut where it would be too large, and its parts make the whole", () => {
  for (let seed = 1; seed <= 1000; seed += 1) {
    const roll = dice(seed);
    const before = word(roll, 30);
    let changes = ChangeSet.empty(before.length);
    for (let n = 0; n < 4; n += 1) {
      changes = changes.compose(ChangeSet.of(change(roll, changes.apply(textOf(before)).toString()), changes.newLength, "\n"));
    }
    const [first, rest] = split(changes, 3, 2);
    const inserted = toSplices(first).reduce((sum, { insert }) => sum + insert.length, 0);
    assert(inserted <= 3 && toSplices(first).length <= 2, `seed ${seed}`);
    assert(toSplices(first).every(({ insert }) => isWellFormed(insert)), `seed ${seed}: a cut character`);
    assert(changes.empty || !first.empty, `seed ${seed}: no progress`);
    const whole = changes.apply(textOf(before)).toString();
    assert.equal(first.compose(rest).apply(textOf(before)).toString(), whole, `seed ${seed}`);
  }
});

test("changes that cut characters are mended, all others left as they are", () => {
  for (let seed = 1; seed <= 2000; seed += 1) {
    const roll = dice(seed);
    const before = textOf(word(roll, 12));
    const splices = [];
    for (let from = roll(3); from <= before.length; from += 1 + roll(5)) {
      const to = Math.min(from + roll(3), before.length);
      splices.push({ from, to, insert: roll(3) ? "" : ["x", "\ud83d", "\ude00", "😀"][roll(4)] });
      from = to;
    }
    const changes = ChangeSet.of(splices, before.length, "\n");
    const mended = wellFormed(changes, before);
    const after = mended.apply(before).toString();
    assert(isWellFormed(after), `seed ${seed}`);
    assert(toSplices(mended).every(({ insert }) => isWellFormed(insert)), `seed ${seed}`);
    const cut = places(before.toString());
    assert(toSplices(mended).every(({ from, to }) => cut.includes(from) && cut.includes(to)), `seed ${seed}`);
    assert.equal(after, toWellFormed(changes.apply(before).toString()), `seed ${seed}`);
  }
});

test("a difference leads from one text to the other and cuts no character", () => {
  for (let seed = 1; seed <= 1500; seed += 1) {
    const roll = dice(seed);
    const before = word(roll, 40);
    let after = before;
    for (let n = roll(6); n > 0; n -= 1) {
      const { from, to, insert } = change(roll, after);
      after = after.slice(0, from) + insert + after.slice(to);
    }
    const changes = difference(before, after);
    assert.equal(changes.apply(textOf(before)).toString(), after, `seed ${seed}`);
    const cut = places(before);
    assert(toSplices(changes).every(({ from, to, insert }) => cut.includes(from) && cut.includes(to) && isWellFormed(insert)));
  }
});
