// The page's line to its node: one exchange at a time, again and again until both agree.
//
// What the person types goes into the replica at once and is sent when the line is free; what others typed is asked for
// when the node tells of a change. While the node is away everything typed is kept, and sent when it is back.

import { Replica } from "./replica.js";

/** Pauses before the node is tried again, in milliseconds. It runs on this machine: it is back soon, or stays away. */
const PAUSE_MS = { first: 250, most: 4000 };
/** A pause where the node is busy, or has not made durable yet what it told of, in milliseconds. */
const MOMENT_MS = 40;
/** How often in a row a limit may be met before it is no matter of time. */
const REFUSALS_MAX = 8;

/**
 * How the line is:
 * - `opening`: nothing has been read yet;
 * - `settled`: the node has all that the person typed;
 * - `sending`: it does not have all yet;
 * - `away`: it cannot be reached;
 * - `reading`: this person may only read;
 * - `broken`: it refused an edit, or this page: `reason` says why.
 */
export class Link {
  #node;
  #page;
  #session;
  #replica = null;
  #state = "opening";
  #news = true;
  #title = { shown: null, wanted: null };
  #wake = null;
  #pause = PAUSE_MS.first;
  #refused = 0;
  #stopped = false;
  #kept;

  /**
   * `node` has `execute(method, args)` and rejects with a `code`; `page` is told by `load(text)`, `show(changes)`,
   * `title(text)`, `state(name, reason)` and `exchanged()`, which follows every change of what the node is known to have.
   * `kept` keeps what is pending, by `put(pending)` and `putText(version, text)`.
   */
  constructor(node, page, session, { kept = null, sleep = pause } = {}) {
    this.#node = node;
    this.#page = page;
    this.#session = session;
    this.#kept = kept;
    this.sleep = sleep;
  }

  /** Begins with what another line has left: a replica, and a title. */
  resume(replica, title) {
    this.#replica = replica;
    this.#title.wanted = title;
  }

  /** What the page and the node have; null before the first read. */
  get replica() {
    return this.#replica;
  }

  get state() {
    return this.#state;
  }

  /** Whether the node told of something that was not read yet. */
  get hasNews() {
    return this.#news;
  }

  /** The person changed the document. */
  local(changes) {
    this.#replica.local(changes);
    this.#keep();
    if (this.#state === "settled") this.#is("sending");
    this.#ring();
  }

  /** The person changed the title. */
  retitle(title) {
    this.#title.wanted = title;
    this.#keep();
    if (this.#state === "settled") this.#is("sending");
    this.#ring();
  }

  /** The node told of a change, or is there again. */
  news() {
    this.#news = true;
    this.#ring();
  }

  /** The page may go away now: whoever sends what is pending may need the text that it is based on. */
  keepText() {
    if (this.#replica?.isPending && this.#replica.confirmed !== null) {
      this.#kept?.putText(this.#replica.version, this.#replica.confirmed.toString());
    }
  }

  stop() {
    this.#stopped = true;
    this.#ring();
  }

  /** Runs until it is stopped or the node refuses for good. */
  async run() {
    while (!this.#stopped) {
      try {
        const more = await this.#exchange();
        this.#pause = PAUSE_MS.first;
        this.#refused = 0;
        if (this.#state === "reading") return;
        if (!more && this.#isSettled && !this.#stopped) {
          this.#is("settled");
          if (!this.#stopped) await this.#silence();
        }
      } catch (error) {
        if (!(await this.#survive(error))) return;
      }
    }
  }

  get #isSettled() {
    return this.#replica !== null && !this.#replica.isPending && this.#title.wanted === null && !this.#news;
  }

  /** One exchange; whether another one should follow at once. */
  async #exchange() {
    if (this.#replica?.isPending) {
      if (!(await this.#send())) return true;
    } else if (this.#title.wanted !== null) {
      await this.#sendTitle();
    } else if (this.#news) {
      await this.#read();
    }
    return !this.#isSettled;
  }

  async #send() {
    if (this.#state !== "sending") this.#is("sending");
    const edit = this.#replica.edit();
    // What the node may take is kept as it is sent: whoever sends it again sends the same.
    this.#keep();
    const { output, committed } = await this.#node.execute("edit", edit);
    if (output.applied) {
      if (committed === false && !output.known) return this.#onlyRead();
      this.#replica.accepted(output.version);
      this.#keep();
      this.#page.exchanged();
      return true;
    }
    const before = this.#replica.version;
    await this.#read();
    // What the node works on can be ahead of what it shows by as long as a write to its disk takes.
    if (this.#replica.version === before) await this.sleep(MOMENT_MS);
    return false;
  }

  async #sendTitle() {
    const title = this.#title.wanted;
    const { committed } = await this.#node.execute("set_title", { title });
    if (committed === false) return this.#onlyRead();
    if (this.#title.wanted === title) this.#title.wanted = null;
    this.#title.shown = title;
    this.#keep();
    return true;
  }

  async #read() {
    this.#news = false;
    try {
      const since = this.#replica?.version ?? null;
      const { output } = await this.#node.execute("read", { since });
      this.#take(output);
    } catch (error) {
      this.#news = true;
      throw error;
    }
  }

  #take({ version, title, text, steps }) {
    if (this.#replica === null) {
      this.#replica = new Replica(this.#session, version, text);
      this.#page.load(text);
    } else if (version !== this.#replica.version) {
      const shown = steps ? this.#replica.moved(version, steps) : this.#replica.reread(version, text);
      this.#keep();
      this.#page.show(shown);
    }
    if (this.#title.wanted === null && this.#title.shown !== title) {
      this.#title.shown = title;
      this.#page.title(title);
    }
    this.#page.exchanged();
  }

  #keep() {
    if (this.#kept === null || this.#replica === null) return;
    const title = this.#title.wanted;
    const isPending = this.#replica.isPending || title !== null;
    this.#kept.put(isPending ? { ...this.#replica.pending, title } : null);
  }

  /** The node let the call run and kept nothing of it: what was typed here is nobody else's. */
  #onlyRead() {
    this.#is("reading", "you may read here, not write");
    return true;
  }

  /** Whether to go on after an error. */
  async #survive(error) {
    switch (error.code) {
      case "NotReachable":
      case "Stopping":
      case "Uninitialized":
      case "ApplicationNotInstalled":
      case "UpgradeInProgress":
        this.#is("away");
        this.#news = true;
        this.keepText();
        await this.#silence(this.#pause);
        this.#pause = Math.min(this.#pause * 2, PAUSE_MS.most);
        return true;
      case "LimitExceeded":
        // The node is busy; or the edit is more than it takes, then it says so each time.
        if (this.#refused < REFUSALS_MAX) {
          this.#refused += 1;
          await this.sleep(this.#pause);
          this.#pause = Math.min(this.#pause * 2, PAUSE_MS.most);
          return true;
        }
        break;
    }
    this.#is("broken", error.message ?? String(error));
    return false;
  }

  #is(state, reason = "") {
    if (this.#state === state) return;
    this.#state = state;
    this.#page.state(state, reason);
  }

  /** Waits until somebody rings, or so long. */
  #silence(ms = 2 ** 30) {
    const controller = new AbortController();
    this.#wake = () => controller.abort();
    return this.sleep(ms, controller.signal);
  }

  #ring() {
    this.#wake?.();
    this.#wake = null;
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
