// The carets and selections of others, in the text.

import { StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, WidgetType } from "@codemirror/view";

/**
 * Sets who is there: `{session, name, colour, anchor, head}`, in places of the document; null where it was already told.
 */
export const setCursors = StateEffect.define();

class Caret extends WidgetType {
  constructor(name, colour) {
    super();
    this.name = name;
    this.colour = colour;
  }

  eq(other) {
    return other.name === this.name && other.colour === this.colour;
  }

  toDOM() {
    const caret = document.createElement("span");
    caret.className = `cm-peer cm-peer-${this.colour}`;
    caret.setAttribute("aria-hidden", "true");
    const flag = document.createElement("span");
    flag.className = "cm-peer-name";
    flag.textContent = this.name;
    // Word joiners keep the line's height where the caret stands alone.
    caret.append("\u2060", flag, "\u2060");
    return caret;
  }

  ignoreEvent() {
    return true;
  }
}

function decorations(cursors) {
  const ranges = [];
  for (const { name, colour, anchor, head } of cursors) {
    const [from, to] = [Math.min(anchor, head), Math.max(anchor, head)];
    if (from < to) ranges.push(Decoration.mark({ class: `cm-peer-range-${colour}` }).range(from, to));
    ranges.push(Decoration.widget({ widget: new Caret(name, colour), side: 1 }).range(head));
  }
  return Decoration.set(ranges, true);
}

/** Where the others are; moved with the text until their owners say where they are. */
const field = StateField.define({
  create: () => [],
  update(cursors, transaction) {
    let now = cursors;
    if (transaction.docChanged) {
      const moved = (at) => transaction.changes.mapPos(at);
      now = now.map((cursor) => ({ ...cursor, anchor: moved(cursor.anchor), head: moved(cursor.head) }));
    }
    for (const effect of transaction.effects) {
      if (effect.is(setCursors)) now = updated(now, effect.value, transaction.newDoc.length);
    }
    return now;
  },
  provide: (field) => EditorView.decorations.compute([field], (state) => decorations(state.field(field))),
});

/** Those who are there now; who did not say where it is stays where it was. */
function updated(before, now, length) {
  return now.map((cursor) => {
    const known = before.find(({ session }) => session === cursor.session);
    const { anchor, head } = cursor.anchor === null && known ? known : cursor;
    return { ...cursor, anchor: Math.min(anchor ?? 0, length), head: Math.min(head ?? 0, length) };
  });
}

/** Shows the carets and selections of others. */
export const cursors = field;
