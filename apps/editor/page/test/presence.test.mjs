// Who is there: told soon, forgotten when silent, and never broken by what others send.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { BEAT_MS, colourOf, COLOURS, GONE_MS, nameOf, PACE_MS, Presence } from "../src/presence.js";

function present(session = "me") {
  const said = [];
  let now = 1_000;
  const presence = new Presence(session, (payload) => said.push(payload), () => {}, () => now);
  const pass = (ms) => {
    now += ms;
    mock.timers.tick(ms);
  };
  return { presence, said, pass };
}

test("movements are told at a pace, the last one always", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { presence, said, pass } = present();
  for (let at = 0; at < 100; at += 1) {
    presence.here("Ada", at, at);
    pass(10);
  }
  pass(PACE_MS);
  assert(said.length <= Math.ceil(1000 / PACE_MS) + 2, `${said.length} messages in a second`);
  assert.deepEqual(said.at(-1), { session: "me", name: "Ada", anchor: 99, head: 99 });
  const before = said.length;
  presence.here("Ada", 99, 99);
  pass(PACE_MS);
  assert.equal(said.length, before, "what is known is not said again");
  pass(BEAT_MS);
  presence.beat();
  assert.equal(said.length, before + 1, "but that one is still there is");
});

test("who asks is answered, who leaves or falls silent is gone", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { presence, said, pass } = present();
  presence.here("Ada", 1, 2);
  pass(PACE_MS);
  const before = said.length;
  presence.heard({ session: "b", name: "Bo", anchor: 3, head: 4, ask: true });
  presence.heard({ session: "c", name: "Cy", anchor: 0, head: 0 });
  assert.equal(said.length, before + 1);
  assert.deepEqual(presence.peers.map(({ name, anchor, head }) => [name, anchor, head]), [["Bo", 3, 4], ["Cy", 0, 0]]);
  presence.heard({ session: "c", gone: true });
  assert.deepEqual(presence.peers.map(({ name }) => name), ["Bo"]);
  pass(GONE_MS);
  presence.beat();
  assert.deepEqual(presence.peers, []);
});

test("whatever others send, there is a name, a colour and a place, and bounded many", () => {
  const { presence } = present();
  const payloads = [null, 1, "x", [], {}, { session: 7 }, { session: "x".repeat(1000) }, { session: "me", name: "I" }];
  payloads.forEach((payload) => presence.heard(payload));
  assert.deepEqual(presence.peers, []);
  presence.heard({ session: "b", name: { toString: () => "evil" }, anchor: -1, head: 1.5 });
  presence.heard({ session: "c", name: "n".repeat(1000), anchor: "3", head: NaN });
  for (const { name, colour, anchor, head } of presence.peers) {
    assert(name.length > 0 && name.length <= 40);
    assert(Number.isInteger(colour) && colour >= 0 && colour < COLOURS);
    assert.deepEqual([anchor, head], [0, 0]);
  }
  for (let n = 0; n < 1000; n += 1) presence.heard({ session: `s${n}` });
  assert(presence.peers.length <= 64);
  assert.equal(nameOf("  "), "Somebody");
  assert.equal(colourOf("abc"), colourOf("abc"));
});
