// The page: the editor, the title, who is there, and how the line to the node is.

import { Mesto } from "/client.js";
import { setCursors } from "./cursors.js";
import { editor } from "./editor.js";
import { hold, Kept, sendWhatIsLeft } from "./kept.js";
import { Link } from "./link.js";
import { colourOf, nameOf, Presence } from "./presence.js";

/** How often presence is looked after, in milliseconds. */
const BEAT_MS = 2_000;
/** Under what the person's name is kept in the browser. */
const NAME_KEY = "mesto.editor.name";

const part = (id) => document.getElementById(id);

const WORDS = {
  opening: ["Opening …", "The text is on its way from your node."],
  settled: ["Saved", "Your node has everything that you typed, and shares it."],
  sending: ["Saving …", "Your node is being told what you typed."],
  away: ["Offline", "Your node cannot be reached. Keep writing: what you type is kept in this browser and sent when your node is back and this page is open."],
  reading: ["Reading", "You may read this text, not change it. What you typed here was not kept."],
  broken: ["Not saved", ""],
  locked: ["No access", "Open this page with `mesto open CONTEXT`: the address that it prints works once."],
};

async function open() {
  let context;
  let owner;
  try {
    context = (await Mesto.ofPage()).context();
    owner = (await context.info()).identity;
  } catch (error) {
    tell(error.code === "NotReachable" ? "away" : "locked", error.code === "Unauthorized" ? "" : error.message);
    return;
  }
  run(context, owner);
}

/** `owner` is the identity under which this person writes here. */
function run(context, owner) {
  const session = crypto.getRandomValues(new Uint32Array(3)).reduce((text, word) => text + word.toString(36), "p");
  const surface = editor(part("editor"), {
    changed: (changes) => link.local(changes),
    moved: () => {
      showPlace(surface.view);
      here();
    },
  });
  const page = {
    load(text) {
      surface.load(text);
      part("editor").removeAttribute("aria-busy");
      surface.writable(true);
      surface.view.focus();
      showPlace(surface.view);
    },
    show: (changes) => surface.show(changes),
    title(text) {
      if (document.activeElement !== part("title") || link.state === "opening") part("title").value = text;
      document.title = text === "" ? "Untitled" : text;
    },
    state(name, reason) {
      tell(name, reason);
      if (name === "reading") surface.writable(false);
      if (name === "reading" || name === "broken") part("title").readOnly = true;
    },
    exchanged() {
      showPeers(presence.peers);
      here();
    },
  };
  const node = { execute: (method, args) => context.execute(method, args) };
  // Browsers have locks where a page came by https or from this machine; without them nobody could tell who has ended.
  const locks = navigator.locks ?? null;
  const kept = locks && new Kept(localStorage, owner, session);
  const link = new Link(node, page, session, { kept });
  const presence = new Presence(session, say, showPeers);
  /** When each peer last said where it is, as far as that is shown. */
  const placed = new Map();

  function say(payload) {
    // Nobody is told while the node is away; who comes back says so again.
    context.say("presence", payload).catch(() => {});
  }

  function here() {
    if (link.replica === null) return;
    const { anchor, head } = surface.view.state.selection.main;
    presence.here(name(), link.replica.toConfirmed(anchor), link.replica.toConfirmed(head));
  }

  function showPeers(peers) {
    list(peers);
    // What others say of their places is about a text that has not been read yet.
    if (link.replica === null || link.hasNews) return;
    const shown = peers.map(({ session, name, colour, anchor, head, at }) => {
      if (placed.get(session) === at) return { session, name, colour, anchor: null, head: null };
      placed.set(session, at);
      return { session, name, colour, anchor: link.replica.toDocument(anchor), head: link.replica.toDocument(head) };
    });
    for (const session of placed.keys()) {
      if (!peers.some((peer) => peer.session === session)) placed.delete(session);
    }
    surface.view.dispatch({ effects: setCursors.of(shown) });
  }

  surface.writable(false);
  context.subscribe({
    event({ type, data }) {
      if (type === "Ephemeral") {
        if (data.kind === "presence") presence.heard(data.payload);
      } else if (type === "StateMutation" || type === "SyncStatus") {
        link.news();
      }
    },
    state(state) {
      if (state !== "open") return;
      link.news();
      presence.ask();
    },
    gap: () => link.news(),
  });
  part("title").addEventListener("input", () => link.retitle(part("title").value));
  part("title").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    surface.view.focus();
  });
  part("name").value = name();
  part("name").addEventListener("change", () => {
    localStorage.setItem(NAME_KEY, nameOf(part("name").value));
    list(presence.peers);
    here();
  });
  setInterval(() => presence.beat(), BEAT_MS);
  addEventListener("pagehide", () => {
    link.keepText();
    presence.leave();
  });
  addEventListener("beforeunload", (event) => {
    if (link.replica?.isPending && !kept?.isSafe) event.preventDefault();
  });

  function list(peers) {
    const own = { name: `${name()} (you)`, colour: colourOf(session) };
    part("people").replaceChildren(...[own, ...peers].map(({ name, colour }) => {
      const item = document.createElement("li");
      item.className = `peer peer-${colour}`;
      item.textContent = name;
      return item;
    }));
  }

  list([]);
  link.run();
  if (locks !== null) {
    hold(locks, session);
    sendWhatIsLeft({ locks, storage: localStorage, owner, own: session, node });
  }
}

function name() {
  const kept = localStorage.getItem(NAME_KEY);
  if (kept !== null) return nameOf(kept);
  const made = `Guest ${1 + Math.floor(Math.random() * 998)}`;
  localStorage.setItem(NAME_KEY, made);
  return made;
}

/** Says how the line is. */
function tell(state, reason = "") {
  const [word, meaning] = WORDS[state];
  const status = part("status");
  status.dataset.state = state;
  status.title = reason || meaning;
  part("status-word").textContent = word;
  part("notice").textContent = ["away", "reading", "broken", "locked"].includes(state) ? reason || meaning : "";
}

/** Says where the caret is and how long the text is. */
function showPlace(view) {
  const { doc, selection } = view.state;
  const line = doc.lineAt(selection.main.head);
  part("place").textContent = `Line ${line.number}, column ${selection.main.head - line.from + 1}`;
  part("length").textContent = doc.length === 1 ? "1 character" : `${doc.length.toLocaleString("en")} characters`;
}

open();
