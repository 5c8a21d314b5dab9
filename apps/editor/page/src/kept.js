// What the node has not confirmed, kept in the browser: it outlives the tab, and a page that is opened later sends it.
//
// Each page keeps what is its own under its session, and holds a lock of that name as long as it lives. Whoever gets the
// lock of a session that left something sends it, as the same session, so that the node takes no edit of it twice.

import { Link } from "./link.js";
import { Replica } from "./replica.js";

const PREFIX = "mesto.editor.kept.";
const LOCK = "mesto.editor.session.";

/** What one session keeps in `storage`, which is the browser's `localStorage`. */
export class Kept {
  #storage;
  #key;
  #textVersion = null;

  /** `owner` names who writes in this context. */
  constructor(storage, owner, session) {
    this.#storage = storage;
    this.#key = `${PREFIX}${owner}.${session}`;
  }

  /** Whether what was to be kept last is kept. */
  isSafe = true;

  /** Keeps what is pending; null if nothing is. */
  put(pending) {
    if (pending === null) {
      this.#storage.removeItem(this.#key);
      this.#storage.removeItem(`${this.#key}.text`);
      this.#textVersion = null;
      this.isSafe = true;
    } else {
      this.isSafe = this.#write(this.#key, pending);
    }
  }

  /**
   * Keeps the text that what is pending is based on, for when the node does not remember the way from there. Once for each
   * version, as it may be large.
   */
  putText(version, text) {
    if (version === this.#textVersion) return;
    // Where there is no room for it, one can do without.
    if (this.#write(`${this.#key}.text`, { version, text })) this.#textVersion = version;
  }

  /** What is kept: `{pending, text}`, where `text` is null if the one that belongs to it is not; null if nothing is. */
  take() {
    const pending = this.#read(this.#key);
    if (pending === null) return null;
    const text = this.#read(`${this.#key}.text`);
    return { pending, text: text !== null && text.version === pending.version ? text.text : null };
  }

  #write(key, value) {
    try {
      this.#storage.setItem(key, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  #read(key) {
    try {
      return JSON.parse(this.#storage.getItem(key));
    } catch {
      return null;
    }
  }
}

/** The sessions of `owner` that have something kept. */
export function sessionsWithSomething(storage, owner) {
  const prefix = `${PREFIX}${owner}.`;
  const keys = Array.from({ length: storage.length }, (_, n) => storage.key(n) ?? "");
  return keys.filter((key) => key.startsWith(prefix) && !key.endsWith(".text")).map((key) => key.slice(prefix.length));
}

/** Holds the lock of a session as long as the page lives. */
export function hold(locks, session) {
  locks.request(LOCK + session, () => new Promise(() => {}));
}

/** Sends what sessions that have ended left, each as soon as it has ended. */
export function sendWhatIsLeft({ locks, storage, owner, own, node }) {
  for (const session of sessionsWithSomething(storage, owner)) {
    if (session === own) continue;
    locks.request(LOCK + session, () => sendKept(new Kept(storage, owner, session), node, session));
  }
}

/** Sends what a session left. What the node does not take stays for the next time. */
export async function sendKept(kept, node, session, sleep) {
  const left = kept.take();
  if (left === null) return;
  let link;
  // Nobody looks at this text: whoever has the page open sees what comes of it as they see what others type.
  const nobody = {
    load() {},
    show() {},
    title() {},
    exchanged() {},
    state(name) {
      if (name === "settled") link.stop();
    },
  };
  link = new Link(node, nobody, session, { kept, sleep });
  link.resume(Replica.restored(session, left.pending, left.text), left.pending.title);
  await link.run();
}
