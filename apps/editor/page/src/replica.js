// What a page knows of the node's text, and what it has that the node has not seen.
//
//     confirmed ──inFlight──► ──queued──► document (what the person sees)
//
// `confirmed` is the node's text at `version`. `inFlight` was sent, its answer has not come; `queued` was done after it.
// A change that the node tells of is based on `confirmed`; it is carried over both, and both over it:
//
//     confirmed ──inFlight──►  ──queued──►  document
//         │remote                  │            │shown
//         ▼                        ▼            ▼
//     confirmed' ─inFlight'─►  ─queued'──►  document'
//
// The node takes an edit only if its text still is the one that the edit is based on, so an accepted edit means exactly
// what the page meant, and `confirmed` is never a guess. Where both inserted at one place, our text comes first: a
// word that is being typed stays in one piece.
//
// Pure: no page, no network, no clock.

import { ChangeSet, Text } from "@codemirror/state";
import { difference } from "./difference.js";
import { cutsCharacter, ofSplices, split, toSplices } from "./edits.js";

export class Replica {
  /** A replica that has nothing of its own, of the node's `text` at `version`. `session` names it to the app. */
  constructor(session, version, text) {
    this.session = session;
    this.version = version;
    /** Null if only its length is known. */
    this.confirmed = textOf(text);
    this.length = this.confirmed.length;
    this.inFlight = null;
    this.queued = ChangeSet.empty(this.length);
    /** Numbers the edits of the session, from 1. */
    this.number = 0;
  }

  /** What is not confirmed, to be kept and restored: it is JSON. */
  get pending() {
    const { number, version, length, inFlight, queued } = this;
    return { number, version, length, inFlight: inFlight && toSplices(inFlight), queued: toSplices(queued) };
  }

  /** A replica with what another one had pending. `text` is what was confirmed then; null if that is not known any more. */
  static restored(session, { number, version, length, inFlight, queued }, text) {
    const replica = new Replica(session, version, text ?? "");
    if (text === null) replica.confirmed = null;
    replica.length = length;
    replica.number = number;
    replica.inFlight = inFlight && ofSplices(inFlight, length);
    replica.queued = ofSplices(queued, replica.inFlight ? replica.inFlight.newLength : length);
    return replica;
  }

  /** Whether the node has not seen, or not confirmed, something of ours. */
  get isPending() {
    return this.inFlight !== null || !this.queued.empty;
  }

  /** The text that the person sees. */
  get document() {
    const sent = this.inFlight ? this.inFlight.apply(this.confirmed) : this.confirmed;
    return this.queued.apply(sent);
  }

  /** A place of the document in the confirmed text. */
  toConfirmed(at) {
    const sent = this.queued.invertedDesc.mapPos(at);
    return this.inFlight ? this.inFlight.invertedDesc.mapPos(sent) : sent;
  }

  /** A place of the confirmed text in the document. */
  toDocument(at) {
    const place = Math.min(at, this.length);
    return this.queued.mapPos(this.inFlight ? this.inFlight.mapPos(place) : place);
  }

  /** The person changed the document. */
  local(changes) {
    this.queued = this.queued.compose(changes);
  }

  /**
   * The edit to send now: the one in flight again, as its answer may have been lost, else what is queued. The app
   * knows an edit of a session by its number, so none counts twice. Null if there is nothing to send.
   */
  edit() {
    if (this.inFlight === null) {
      if (this.queued.empty) return null;
      [this.inFlight, this.queued] = split(this.queued);
      this.number += 1;
    }
    return { session: this.session, number: this.number, base: this.version, changes: toSplices(this.inFlight) };
  }

  /** The node's text is now `confirmed` with the edit in flight, and nothing else. */
  accepted(version) {
    this.#goOn(version, this.inFlight);
    this.inFlight = null;
  }

  /**
   * The node's text moved on to `version`, by `steps`: splices, each in the places of the text after the one before. Gives
   * the changes to show in the document.
   */
  moved(version, steps) {
    let changes = ChangeSet.empty(this.length);
    for (const step of steps) changes = changes.compose(ofSplices([step], changes.newLength));
    return this.#remote(version, changes);
  }

  /** The node's text at `version` is `text`. Gives the changes to show in the document. */
  reread(version, text) {
    if (this.confirmed === null) this.#rebase(textOf(text));
    return this.#remote(version, difference(this.confirmed.toString(), text));
  }

  /**
   * Puts what is pending on another text, with no knowledge of how it came from the one that it was based on. Places are
   * what they were, as far as there are such: nothing that was typed is lost, and nothing is deleted.
   */
  #rebase(text) {
    const typed = this.inFlight ? this.inFlight.compose(this.queued) : this.queued;
    const inserted = toSplices(typed).filter(({ insert }) => insert !== "");
    const placed = inserted.map(({ from, insert }) => {
      const at = Math.min(from, text.length);
      return { from: cutsCharacter(text, at) ? at - 1 : at, insert };
    });
    this.confirmed = text;
    this.length = text.length;
    this.inFlight = null;
    this.queued = ofSplices(placed, text.length);
  }

  #goOn(version, changes) {
    this.confirmed = this.confirmed && changes.apply(this.confirmed);
    this.length = changes.newLength;
    this.version = version;
  }

  #remote(version, changes) {
    this.#goOn(version, changes);
    let shown = changes;
    if (this.inFlight !== null) {
      const carried = shown.map(this.inFlight);
      this.inFlight = this.inFlight.map(shown, true);
      shown = carried;
      // All that it did, others did too: there is nothing left to be confirmed.
      if (this.inFlight.empty) this.inFlight = null;
    }
    const carried = shown.map(this.queued);
    this.queued = this.queued.map(shown, true);
    return carried;
  }
}

/** A text in which only `\n` ends a line, so that places in it are those of the string. */
export function textOf(string) {
  return Text.of(string.split("\n"));
}
