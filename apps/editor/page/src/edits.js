// Changes of a text, as CodeMirror has them and as the app takes them: `{from, to, insert}` in UTF-16 units, all of one
// list in the coordinates of the text before it, ascending and apart.

import { ChangeSet } from "@codemirror/state";

/** Most UTF-16 units that one edit inserts: at most three bytes each, so one operation of a delta (256 KiB) holds them. */
export const INSERT_UNITS_MAX = 64 * 1024;
/** Most places that one edit changes: a call stays small, and what is left follows at once. */
export const PLACES_MAX = 512;

/** The list that the app takes. */
export function toSplices(changes) {
  const splices = [];
  changes.iterChanges((from, to, _fromB, _toB, insert) => splices.push({ from, to, insert: insert.toString() }));
  return splices;
}

/** The change set of such a list on a text of this length. */
export function ofSplices(splices, length) {
  return ChangeSet.of(splices, length, "\n");
}

/** Cuts changes into those that one edit carries and the rest, which is based on the text after them. */
export function split(changes, unitsMax = INSERT_UNITS_MAX, placesMax = PLACES_MAX) {
  const splices = toSplices(changes);
  const first = [];
  const rest = [];
  let units = 0;
  let shift = 0;
  for (const { from, to, insert } of splices) {
    if (rest.length > 0 || first.length === placesMax) {
      rest.push({ from: from + shift, to: to + shift, insert });
      continue;
    }
    const fits = whole(insert, unitsMax - units);
    if (fits === 0 && insert.length > 0) {
      rest.push({ from: from + shift, to: to + shift, insert });
      continue;
    }
    first.push({ from, to, insert: insert.slice(0, fits) });
    units += fits;
    shift += fits - (to - from);
    if (fits < insert.length) {
      const at = to + shift;
      rest.push({ from: at, to: at, insert: insert.slice(fits) });
    }
  }
  const sent = ofSplices(first, changes.length);
  return [sent, ofSplices(rest, sent.newLength)];
}

/** How many units of the text fit `max` without cutting a character. */
function whole(text, max) {
  if (text.length <= max) return text.length;
  return isHigh(text.charCodeAt(max - 1)) && isLow(text.charCodeAt(max)) ? max - 1 : Math.max(max, 0);
}

/**
 * The same changes such that none cuts a character or brings half of one: the app counts in characters. Gives `changes`
 * itself where nothing is to be mended.
 */
export function wellFormed(changes, doc) {
  let mended = false;
  const splices = toSplices(changes).map((splice) => {
    const left = cutsCharacter(doc, splice.from) ? doc.sliceString(splice.from - 1, splice.from) : "";
    const right = cutsCharacter(doc, splice.to) ? doc.sliceString(splice.to, splice.to + 1) : "";
    const insert = left + splice.insert + right;
    if (insert.length === splice.insert.length && isWellFormed(insert)) return splice;
    mended = true;
    return { from: splice.from - left.length, to: splice.to + right.length, insert: toWellFormed(insert) };
  });
  return mended ? ofSplices(splices, changes.length) : changes;
}

/** Whether a place is between the two units of one character. */
export function cutsCharacter(doc, at) {
  if (at <= 0 || at >= doc.length) return false;
  const around = doc.sliceString(at - 1, at + 1);
  return isHigh(around.charCodeAt(0)) && isLow(around.charCodeAt(1));
}

/** A text without lone surrogates: each becomes U+FFFD. */
export function toWellFormed(text) {
  return isWellFormed(text) ? text : text.replace(LONE, "\ufffd");
}

/** Whether a text has no lone surrogates. */
export function isWellFormed(text) {
  LONE.lastIndex = 0;
  return !LONE.test(text);
}

const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function isHigh(unit) {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLow(unit) {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
