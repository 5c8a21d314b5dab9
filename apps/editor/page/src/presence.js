// Who else is here, and where: messages between pages that the nodes pass on and keep nowhere.
//
// Places are those of the text that the node has: what a page has beyond it nobody else knows. A page that comes asks who
// is there; a page that is silent for a while is gone.

/** How often a page says that it is still there, and after which silence it is gone, in milliseconds. */
export const BEAT_MS = 10_000;
export const GONE_MS = 25_000;
/** Shortest time between two messages of one page, in milliseconds: the eye sees it as movement. */
export const PACE_MS = 90;
/** Most pages that are shown; longest name. */
const PEERS_MAX = 64;
const NAME_LENGTH_MAX = 40;
/** How many colours there are. */
export const COLOURS = 8;

export class Presence {
  #say;
  #session;
  #now;
  #peers = new Map();
  #changed;
  #last = { text: "", at: -Infinity };
  #timer = null;
  #wanted = null;

  /** `say(payload)` tells all pages; `changed(peers)` hears who is there. */
  constructor(session, say, changed, now = () => Date.now()) {
    this.#session = session;
    this.#say = say;
    this.#changed = changed;
    this.#now = now;
  }

  /** The others, in order of their sessions: `{session, name, colour, anchor, head}`. */
  get peers() {
    return [...this.#peers.values()].sort((a, b) => (a.session < b.session ? -1 : 1));
  }

  /** Where this person is: told at once if nothing was told a moment ago, else soon. */
  here(name, anchor, head) {
    this.#wanted = { name, anchor, head };
    if (this.#timer !== null) return;
    const wait = Math.max(0, this.#last.at + PACE_MS - this.#now());
    this.#timer = setTimeout(() => this.#tell(false), wait);
  }

  /** Asks who is there, and says that we are. */
  ask() {
    this.#tell(true);
  }

  /** To be called now and then: says that we are still there, and forgets who is not. */
  beat() {
    const now = this.#now();
    if (now - this.#last.at >= BEAT_MS) this.#tell(false, true);
    let gone = false;
    for (const [session, peer] of this.#peers) {
      if (now - peer.at >= GONE_MS) gone = this.#peers.delete(session) || gone;
    }
    if (gone) this.#changed(this.peers);
  }

  /** This person leaves. */
  leave() {
    clearTimeout(this.#timer);
    this.#say({ session: this.#session, gone: true });
  }

  /** A page said something. Whatever it is, nothing breaks. */
  heard(payload) {
    const { session, gone, ask, name, anchor, head } = payload ?? {};
    if (typeof session !== "string" || session === this.#session || session.length > NAME_LENGTH_MAX) return;
    if (ask === true) this.#tell(false, true);
    if (gone === true) {
      if (this.#peers.delete(session)) this.#changed(this.peers);
      return;
    }
    if (!this.#peers.has(session) && this.#peers.size >= PEERS_MAX) return;
    const place = (at) => (Number.isSafeInteger(at) && at >= 0 ? at : 0);
    this.#peers.set(session, {
      session,
      name: nameOf(name),
      colour: colourOf(session),
      anchor: place(anchor),
      head: place(head),
      at: this.#now(),
    });
    this.#changed(this.peers);
  }

  #tell(ask, again = false) {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#wanted === null) return;
    const message = { session: this.#session, ...this.#wanted, ...(ask ? { ask } : {}) };
    const text = JSON.stringify(message);
    if (text === this.#last.text && !again) return;
    this.#last = { text, at: this.#now() };
    this.#say(message);
  }
}

/** A name that can be shown. */
export function nameOf(name) {
  const text = typeof name === "string" ? name.trim().slice(0, NAME_LENGTH_MAX) : "";
  return text === "" ? "Somebody" : text;
}

/** The colour of a page: everybody sees the same. */
export function colourOf(session) {
  let sum = 7;
  for (let at = 0; at < session.length; at += 1) sum = (Math.imul(sum, 31) + session.charCodeAt(at)) >>> 0;
  return sum % COLOURS;
}
