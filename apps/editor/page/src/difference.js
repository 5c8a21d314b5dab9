// What changed between two texts, when the node can no longer tell: after it was away, or when much has happened.

import { diff } from "@codemirror/merge";
import { ofSplices } from "./edits.js";

/** How hard to look for the least difference before a coarse one is taken: texts of some 100 kB stay under 50 ms. */
const EFFORT = { scanLimit: 500, timeout: 250 };

/** The changes from `before` to `after`, at the places where they differ, none of which cuts a character. */
export function difference(before, after) {
  const splices = [];
  for (const { fromA, toA, fromB, toB } of diff(before, after, EFFORT)) {
    const last = splices.at(-1);
    const splice = whole(before, after, { fromA, toA, fromB, toB });
    if (last && splice.fromA <= last.toA) {
      last.toA = Math.max(last.toA, splice.toA);
      last.toB = Math.max(last.toB, splice.toB);
    } else {
      splices.push(splice);
    }
  }
  const plain = splices.map(({ fromA, toA, fromB, toB }) => ({ from: fromA, to: toA, insert: after.slice(fromB, toB) }));
  return ofSplices(plain, before.length);
}

/** Widens a difference over a character that it cuts; what is beside it is equal in both texts. */
function whole(before, after, { fromA, toA, fromB, toB }) {
  while (fromA > 0 && fromB > 0 && (cuts(before, fromA) || cuts(after, fromB))) {
    fromA -= 1;
    fromB -= 1;
  }
  while (toA < before.length && toB < after.length && (cuts(before, toA) || cuts(after, toB))) {
    toA += 1;
    toB += 1;
  }
  return { fromA, toA, fromB, toB };
}

function cuts(text, at) {
  const high = text.charCodeAt(at - 1);
  const low = text.charCodeAt(at);
  return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
}
