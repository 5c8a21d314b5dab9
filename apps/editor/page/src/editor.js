// The editor: CodeMirror with what a shared text needs.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Annotation, Compartment, EditorState, Transaction } from "@codemirror/state";
import { drawSelection, dropCursor, EditorView, keymap, placeholder } from "@codemirror/view";
import { cursors } from "./cursors.js";
import { wellFormed } from "./edits.js";

/** Marks changes that came from the node: they are not ours to send, nor to undo. */
export const fromNode = Annotation.define();

/** In a shadow root CodeMirror's styles are adopted sheets, which a strict content security policy allows. */
export function editor(parent, { changed, moved }) {
  const root = parent.attachShadow({ mode: "open", delegatesFocus: true });
  const mount = document.createElement("div");
  root.append(mount);
  const writable = new Compartment();
  const view = new EditorView({ root, parent: mount, state: state("", writable, { changed, moved }) });
  return {
    view,
    /** Shows the text that the node has; what can be undone begins here. */
    load(text) {
      view.setState(state(text, writable, { changed, moved }));
    },
    /** Shows changes of others: the caret stays where it is in the text. */
    show(changes) {
      if (changes.empty) return;
      const annotations = [fromNode.of(true), Transaction.remote.of(true), Transaction.addToHistory.of(false)];
      view.dispatch({ changes, annotations });
    },
    /** Whether the person may write. */
    writable(may) {
      view.dispatch({ effects: writable.reconfigure(EditorState.readOnly.of(!may)) });
    },
  };
}

function state(doc, writable, { changed, moved }) {
  return EditorState.create({
    doc,
    extensions: [
      // Only this ends a line, so that places in the document are those of the text.
      EditorState.lineSeparator.of("\n"),
      EditorView.clipboardInputFilter.of((text) => text.replace(/\r\n?/g, "\n")),
      EditorState.transactionFilter.of(mend),
      writable.of(EditorState.readOnly.of(false)),
      history(),
      search({ top: true }),
      highlightSelectionMatches(),
      drawSelection(),
      dropCursor(),
      cursors,
      placeholder("Write something together …"),
      keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": "Text", spellcheck: "true", autocapitalize: "sentences" }),
      EditorView.updateListener.of((update) => {
        const own = update.transactions.filter((transaction) => transaction.docChanged && !transaction.annotation(fromNode));
        for (const { changes } of own) changed(changes);
        if (update.docChanged || update.selectionSet || update.focusChanged) moved(update);
      }),
      theme,
    ],
  });
}

/** What a person types never cuts a character in two, whatever the keyboard or clipboard brings. */
function mend(transaction) {
  if (!transaction.docChanged || transaction.annotation(fromNode)) return transaction;
  const changes = wellFormed(transaction.changes, transaction.startState.doc);
  if (changes === transaction.changes) return transaction;
  const event = transaction.annotation(Transaction.userEvent);
  // What is mended is as long as what it replaces, so places stay what they are.
  const { newSelection: selection, scrollIntoView } = transaction;
  return { changes, selection, scrollIntoView, ...(event ? { userEvent: event } : {}) };
}

/** The colours of peers are custom properties of the page, which reach into the shadow root. */
const peers = Object.fromEntries(
  Array.from({ length: 8 }, (_, n) => [
    [`.cm-peer-${n}`, { borderColor: `var(--peer-${n})` }],
    [`.cm-peer-${n} > .cm-peer-name`, { backgroundColor: `var(--peer-${n})` }],
    [`.cm-peer-range-${n}`, { backgroundColor: `color-mix(in srgb, var(--peer-${n}) 28%, transparent)` }],
  ]).flat(),
);

const theme = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "transparent", fontSize: "1.0625rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--text-font)", lineHeight: "1.65" },
  ".cm-content": { caretColor: "var(--ink)", padding: "1.75rem 0 40vh" },
  ".cm-line": { padding: "0 2px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection)",
  },
  ".cm-placeholder": { color: "var(--faint)" },
  ".cm-panels": { backgroundColor: "var(--panel)", color: "var(--ink)", borderColor: "var(--line)" },
  ".cm-textfield, .cm-button": { color: "inherit", background: "var(--paper)", borderColor: "var(--line)" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--accent) 30%, transparent)" },
  ".cm-peer": {
    position: "relative",
    display: "inline-block",
    width: "0",
    borderLeft: "2px solid",
    marginLeft: "-1px",
    marginRight: "-1px",
    pointerEvents: "none",
  },
  ".cm-peer-name": {
    position: "absolute",
    bottom: "100%",
    left: "-2px",
    padding: "0 0.35rem",
    borderRadius: "0.3rem 0.3rem 0.3rem 0",
    color: "#fff",
    font: "600 0.6875rem/1.5 var(--ui-font)",
    whiteSpace: "nowrap",
    userSelect: "none",
    zIndex: "5",
  },
  ...peers,
});
