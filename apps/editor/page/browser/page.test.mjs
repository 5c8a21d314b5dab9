// The page in a real browser, on two stand-ins of nodes.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { acts, browserPath, meet } from "./scenario.mjs";
import { standIn } from "./stand-in.mjs";

const skip = browserPath() === null ? "there is no Chromium on this machine: install it, or set MESTO_BROWSER" : false;
const artefacts = process.env.MESTO_ARTEFACTS;
let stage;
let play;

before(async () => {
  if (skip) return;
  stage = await standIn();
  stage.screenshot = async (person, name) => {
    if (!artefacts) return;
    mkdirSync(artefacts, { recursive: true });
    await person.page.screenshot({ path: join(artefacts, `page-${name}.png`) });
  };
  play = await meet(stage);
});

after(async () => {
  await play?.close();
  await stage?.close();
});

for (const [name, act] of Object.entries(acts)) test(name, { skip }, () => act(stage, play.people));

test("the browser complains of nothing, its content security policy included", { skip }, () => {
  assert.deepEqual(play.complaints, []);
});
