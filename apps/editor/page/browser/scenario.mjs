// What two people do with the page, in two browsers on two nodes, and what they must see.
//
// A stage gives: `urls` (of the page on each node), `text(n)` (what node n has), `apart(first, second)` (lets both do
// something while neither node sees the other), `stop(n)` and `start(n)` (a node).

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

/** Where Debian and others put it. */
const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** How long anything may take on a machine that is busy with other things, in milliseconds. */
const PATIENCE_MS = 60_000;

/** The browser of this machine; null if there is none. */
export function browserPath() {
  return process.env.MESTO_BROWSER ?? BROWSERS.find((path) => existsSync(path)) ?? null;
}

/** A person in front of the page. */
class Person {
  constructor(context, complaints, stage, node) {
    this.context = context;
    this.complaints = complaints;
    this.stage = stage;
    this.node = node;
  }

  /** Opens the page, in a tab of its own. */
  async open(url) {
    this.page = await this.context.newPage();
    this.content = this.page.locator("#editor .cm-content");
    this.page.on("pageerror", (error) => this.complaints.push(`person ${this.node}: ${error.message}`));
    this.page.on("console", (message) => {
      // The browser reports requests that fail because a node is away; that is part of the play.
      if (message.type() === "error" && !/ERR_|Failed to (load|fetch)/.test(message.text())) {
        this.complaints.push(`person ${this.node}: ${message.text()}`);
      }
    });
    await this.page.goto(url);
  }

  /** Opens the page again, after the tab was closed. */
  async comeBack() {
    await this.open(this.stage.urls[this.node].split("#")[0]);
    await this.until("settled");
  }

  /** Waits until the line to the node is so. */
  async until(state) {
    const wanted = `#status[data-state="${state}"]`;
    await this.page.waitForSelector(wanted, { timeout: PATIENCE_MS }).catch(async (error) => {
      const now = await this.page.getAttribute("#status", "data-state");
      throw new Error(`person ${this.node}: the page says ${now}, not ${state}: ${error.message}`);
    });
  }

  /** Types as a hand does, a key at a time. */
  async type(text) {
    await this.content.pressSequentially(text, { delay: 15 });
  }

  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  async toStart() {
    await this.content.focus();
    await this.press("ControlOrMeta+Home");
  }

  async toEnd() {
    await this.content.focus();
    await this.press("ControlOrMeta+End");
  }

  /** Takes everything away. */
  async wipe() {
    await this.content.focus();
    await this.press("ControlOrMeta+a", "Delete");
  }

  async paste(text) {
    await this.content.focus();
    await this.content.evaluate((content, text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      content.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, text);
  }

  /** What is on the screen, if it is short. */
  async shown() {
    return this.content.evaluate((content) =>
      [...content.querySelectorAll(".cm-line")]
        .map((line) => {
          const copy = line.cloneNode(true);
          copy.querySelectorAll(".cm-peer, .cm-placeholder").forEach((extra) => extra.remove());
          return copy.textContent;
        })
        .join("\n"),
    );
  }

  async place() {
    return this.page.textContent("#place");
  }
}

async function eventually(what, look, wanted) {
  const end = Date.now() + PATIENCE_MS;
  let seen;
  while (Date.now() < end) {
    seen = await look();
    if (typeof wanted === "function" ? wanted(seen) : seen === wanted) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what}: ${JSON.stringify(seen)?.slice(0, 400)}${typeof wanted === "function" ? "" : `, not ${JSON.stringify(wanted).slice(0, 400)}`}`);
}

/** Both nodes have one text, and both pages show it; gives it. */
async function agreed(stage, people) {
  for (const person of people) await person.until("settled");
  await eventually("the nodes agree", async () => (await stage.text(0)) === (await stage.text(1)), true);
  const text = await stage.text(0);
  for (const person of people) {
    await eventually(`person ${person.node} sees the text`, () => person.shown(), text);
    await person.until("settled");
  }
  return text;
}

/** Opens the page for two people. */
export async function meet(stage) {
  const browser = await chromium.launch({ executablePath: browserPath(), args: ["--no-sandbox"] });
  const complaints = [];
  const people = [];
  for (const node of [0, 1]) {
    const context = await browser.newContext({ viewport: { width: 900, height: 640 }, colorScheme: node === 0 ? "light" : "dark" });
    const person = new Person(context, complaints, stage, node);
    await person.open(stage.urls[node]);
    await person.until("settled");
    await person.page.fill("#name", node === 0 ? "Ada" : "Bo");
    await person.page.locator("#name").blur();
    people.push(person);
  }
  return { people, complaints, close: () => browser.close() };
}

/** The acts, in order; each begins where the one before it ended. */
export const acts = {
  "what one types the other sees": async (stage, [ada, bo]) => {
    await ada.content.focus();
    await ada.type("Hello\nworld");
    await ada.page.fill("#title", "Our text");
    assert.equal(await agreed(stage, [ada, bo]), "Hello\nworld");
    await eventually("the title arrives", () => bo.page.inputValue("#title"), "Our text");
    assert.equal(await ada.place(), "Line 2, column 6");
  },

  "each sees who is there and where": async (stage, [ada, bo]) => {
    await bo.toStart();
    await eventually("Ada sees Bo's caret", () => ada.page.locator(".cm-peer-name").allTextContents(), (names) => names.join() === "Bo");
    await eventually("Bo sees Ada's caret", () => bo.page.locator(".cm-peer-name").allTextContents(), (names) => names.join() === "Ada");
    await eventually("Bo is listed", () => ada.page.locator("#people li").allTextContents(), (names) => names.join() === "Ada (you),Bo");
    // Ada's caret is at the end of the second line, and Bo sees it there.
    await eventually(
      "Ada's caret is where she is",
      () => bo.page.locator(".cm-line").nth(1).evaluate((line) => {
        const caret = line.querySelector(".cm-peer");
        if (caret === null) return null;
        const before = document.createRange();
        before.setStart(line, 0);
        before.setEndBefore(caret);
        return before.toString();
      }),
      "world",
    );
    await stage.screenshot(ada, "presence-ada");
    await stage.screenshot(bo, "presence-bo");
  },

  "two who type at one place keep their words and their carets": async (stage, [ada, bo]) => {
    await ada.wipe();
    await ada.type("[]");
    await agreed(stage, [ada, bo]);
    await ada.toEnd();
    await ada.press("ArrowLeft");
    await bo.toEnd();
    await bo.press("ArrowLeft");
    await Promise.all([ada.type("aaaaaaaaaa"), bo.type("bbbbbbbbbb")]);
    const text = await agreed(stage, [ada, bo]);
    const runs = text.slice(1, -1).match(/a+|b+/g);
    assert.equal(text.length, 22);
    // Each continues at the own caret, so the other's letters can stand within a word only where it was typed into.
    assert(runs.length <= 3, `torn apart: ${text}`);
    for (const [person, letter] of [[ada, "a"], [bo, "b"]]) {
      assert.equal(await person.place(), `Line 1, column ${text.lastIndexOf(letter) + 2}`, `the caret is after the own word in ${text}`);
    }
  },

  "two who are cut off from each other keep what both typed at one place": async (stage, [ada, bo]) => {
    await ada.wipe();
    await ada.type("start end");
    await agreed(stage, [ada, bo]);
    const words = async (person, words) => {
      await person.toStart();
      for (let step = 0; step < 6; step += 1) await person.press("ArrowRight");
      await person.type(words);
      await eventually("the node takes what is typed", () => stage.text(person.node), `start ${words}end`);
      await person.until("settled");
      assert.equal(await person.shown(), `start ${words}end`);
    };
    await stage.apart(() => words(ada, "Ada's words "), () => words(bo, "Bo's words "));
    const text = await agreed(stage, [ada, bo]);
    assert(["start Ada's words Bo's words end", "start Bo's words Ada's words end"].includes(text), text);
    await ada.type("!");
    await bo.type("?");
    const after = await agreed(stage, [ada, bo]);
    assert.equal(after, text.replace("Ada's words ", "Ada's words !").replace("Bo's words ", "Bo's words ?"));
    await stage.screenshot(ada, "after-partition-ada");
    await stage.screenshot(bo, "after-partition-bo");
  },

  "undo takes back one's own words only": async (stage, [ada, bo]) => {
    await ada.wipe();
    await agreed(stage, [ada, bo]);
    // What is done within half a second is undone together.
    await new Promise((resolve) => setTimeout(resolve, 700));
    await ada.type("mine");
    await agreed(stage, [ada, bo]);
    await bo.toEnd();
    await bo.type(" and yours");
    await agreed(stage, [ada, bo]);
    await ada.press("ControlOrMeta+z");
    assert.equal(await agreed(stage, [ada, bo]), " and yours");
    await ada.press("ControlOrMeta+y");
    assert.equal(await agreed(stage, [ada, bo]), "mine and yours");
  },

  "characters of several units stay whole": async (stage, [ada, bo]) => {
    await ada.wipe();
    await ada.paste("👩‍👩‍👧 e\u0301 🇩🇪 \ud83d 字");
    await ada.press("Backspace", "Backspace");
    await bo.toStart();
    await bo.type("😀x");
    await bo.press("ArrowLeft", "ArrowLeft");
    await bo.type("<");
    const text = await agreed(stage, [ada, bo]);
    assert.equal(text, "<😀x👩‍👩‍👧 e\u0301 🇩🇪 \ufffd");
    await bo.press("ControlOrMeta+End", "Backspace", "Backspace", "Backspace", "Backspace");
    assert.equal(await agreed(stage, [ada, bo]), "<😀x👩‍👩‍👧 e\u0301");
  },

  "what is typed while the node is away is sent when it is back": async (stage, [ada, bo]) => {
    await ada.wipe();
    await ada.type("one three");
    await agreed(stage, [ada, bo]);
    await stage.stop(0);
    await ada.toStart();
    for (let step = 0; step < 4; step += 1) await ada.press("ArrowRight");
    await ada.type("two ");
    await ada.until("away");
    assert.match(await ada.page.textContent("#notice"), /cannot be reached/);
    await stage.screenshot(ada, "offline");
    await bo.toEnd();
    await bo.type(" four");
    await bo.until("settled");
    await stage.start(0);
    const text = await agreed(stage, [ada, bo]);
    assert.equal(text, "one two three four");
    assert.equal(await ada.page.textContent("#notice"), "");
    assert.equal(await ada.place(), "Line 1, column 9");
  },

  "two write in one word, and undo takes back one's own letters": async (stage, [ada, bo]) => {
    await ada.wipe();
    await ada.type("wonderful");
    await agreed(stage, [ada, bo]);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await ada.toStart();
    for (let step = 0; step < 3; step += 1) await ada.press("ArrowRight");
    await bo.toEnd();
    for (let step = 0; step < 3; step += 1) await bo.press("ArrowLeft");
    await Promise.all([ada.type("-é😀-"), bo.type("+x̂y+")]);
    assert.equal(await agreed(stage, [ada, bo]), "won-é😀-der+x̂y+ful");
    assert.equal(await ada.place(), "Line 1, column 9");
    await bo.press("Backspace", "Backspace");
    await ada.press("ControlOrMeta+z");
    assert.equal(await agreed(stage, [ada, bo]), "wonder+x̂ful");
    await ada.press("ControlOrMeta+y");
    assert.equal(await agreed(stage, [ada, bo]), "won-é😀-der+x̂ful");
  },

  "what was typed while the node was away outlives the tab": async (stage, [ada, bo]) => {
    await ada.wipe();
    await ada.type("one three");
    await agreed(stage, [ada, bo]);
    await stage.stop(0);
    await ada.toStart();
    for (let step = 0; step < 4; step += 1) await ada.press("ArrowRight");
    await ada.type("two ");
    await ada.press("ControlOrMeta+End", "Backspace");
    await ada.until("away");
    await ada.page.close();
    await bo.toStart();
    await bo.type("zero ");
    await bo.until("settled");
    await stage.start(0);
    await ada.comeBack();
    await eventually("what was typed arrives", () => stage.text(1), "zero one two thre");
    assert.equal(await agreed(stage, [ada, bo]), "zero one two thre");
    // It is sent once, however often the page is opened.
    await ada.page.reload();
    await ada.until("settled");
    assert.equal(await agreed(stage, [ada, bo]), "zero one two thre");
  },

  "a page that is loaded again in the middle of a word loses no letter": async (stage, [ada, bo]) => {
    await ada.wipe();
    await agreed(stage, [ada, bo]);
    let typed = "";
    for (const word of ["some", "words", "in", "one", "line"]) {
      await ada.toEnd();
      await ada.page.keyboard.type(word);
      typed += word;
      await ada.page.reload();
      await ada.until("settled");
      await eventually("it is there", () => ada.shown(), typed);
    }
    assert.equal(await agreed(stage, [ada, bo]), typed);
  },

  "a large text is pasted, and typed in": async (stage, [ada, bo]) => {
    await ada.wipe();
    const line = "The quick brown fox jumps over the lazy dog — ä ö ü 😀.\n";
    const large = line.repeat(Math.ceil(200_000 / line.length));
    await ada.paste(large);
    await ada.until("settled");
    await eventually("it is on the other node", async () => (await stage.text(1)) === large, true);
    await ada.toEnd();
    await ada.type("end");
    await bo.toStart();
    await bo.type("begin ");
    await eventually("both typed in it", () => stage.text(0), (text) => text === `begin ${large}end`);
    await eventually("the nodes agree", async () => (await stage.text(0)) === (await stage.text(1)), true);
    await ada.until("settled");
    await bo.until("settled");
    await eventually("Bo's page has it", () => bo.page.textContent("#length"), `${`begin ${large}end`.length.toLocaleString("en")} characters`);
    await ada.wipe();
    assert.equal(await agreed(stage, [ada, bo]), "");
  },
};
