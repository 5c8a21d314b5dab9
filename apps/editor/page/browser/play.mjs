// Plays the acts on a stage, as tests of node's runner, and keeps pictures of them in `MESTO_ARTEFACTS`.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { acts, meet } from "./scenario.mjs";

/** `build` makes the stage; `name` begins the pictures' names; `skip` tells why this cannot be played here. */
export function play(name, build, skip) {
  const artefacts = process.env.MESTO_ARTEFACTS;
  let stage;
  let cast;

  before(async () => {
    if (skip) return;
    stage = await build();
    stage.screenshot = async (person, what) => {
      if (!artefacts) return;
      mkdirSync(artefacts, { recursive: true });
      await person.page.screenshot({ path: join(artefacts, `${name}-${what}.png`) });
    };
    cast = await meet(stage);
  });

  after(async () => {
    await cast?.close();
    await stage?.close();
  });

  for (const [act, perform] of Object.entries(acts)) test(act, { skip }, () => perform(stage, cast.people));

  test("the browser complains of nothing, its content security policy included", { skip }, () => {
    assert.deepEqual(cast.complaints, []);
  });
}
