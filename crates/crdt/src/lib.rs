//! The state of a context: collections that merge without coordination, and the tree whose root names it.
//!
//! # Rules
//!
//! 1. **The state is a function of the set of applied deltas.** Any order that respects causality and
//!    any batching give the same leaves and the same root. To apply a delta twice is the caller's mistake:
//!    the log delivers each once.
//! 2. **A collection's id** is a hash of (parent's id, kind, key), so replicas that create the same path
//!    concurrently create the same collection. Its first byte is the kind, so an operation that does
//!    not fit its collection is malformed by its bytes alone ([`Op::check`]).
//! 3. **A leaf** is one element: a register, a map entry, a set member, one author's slot of a counter.
//!    Its key is the collection's id, then the element's key.
//! 4. **Values are dots.** An assignment puts a dot (stamp, author, index, delta) beside the live ones and takes away
//!    those that it names; concurrent assignments stay side by side, and the greatest dot is what reads
//!    return. A leaf without dots does not exist: maps and sets keep no tombstones.
//! 5. **Removal is of what was observed.** A dot is taken away only by an operation that names it and has its
//!    delta in its causal past; what names anything else is ignored. So no order of arrival, and no
//!    lie in an operation, can make replicas differ. An author's newer assignment also replaces
//!    its own older ones, named or not, so one writer cannot pile up dots.
//! 6. **A counter** has a slot for each author: the exact sum of its additions, minus a baseline that removals of the
//!    counter set to the sum that they had observed. Concurrent baselines stay side by side; the one that
//!    covers most counts.
//! 7. **Nesting.** A map entry that holds a collection has a presence value. A change below an entry assigns the
//!    presence of every entry above it anew, so that a concurrent removal does not lose the change.
//! 8. **Texts and lists** keep what each delta inserted as minted, and what was deleted; their order is computed
//!    ([`sequence`]).
//! 9. **The tree** is a hash trie over (element id, leaf hash) whose shape depends on nothing but the set of
//!    leaves; a commit re-hashes the touched paths only.
//!
//! [`Draft`] collects one call's changes as operations, [`Transaction`] applies deltas and yields the
//! writes of a [`Commit`]; both read the state through [`Read`].

pub mod clock;
pub mod dot;
pub mod draft;
mod hash;
pub mod id;
pub mod leaf;
pub mod op;
pub mod private;
pub mod read;
pub mod sequence;
pub mod state;
pub mod tree;

pub use clock::{Hlc, ReservedStamp, next};
pub use dot::{Dot, DotRef, Mark, SlotMark};
pub use draft::{Draft, DraftError, DraftLimits, Handle};
pub use id::{Author, CollectionId, DeltaId, Kind};
pub use leaf::{Baseline, CorruptLeaf, Leaf, Slot};
pub use op::{DecodeError, Delta, Op, OpError, Value, decode_ops, encode_ops};
pub use private::Private;
pub use read::{MemoryState, Read, Space, WithSequences, Write};
pub use sequence::{Sequences, TextStep, TextVersion, Unit};
pub use state::{ApplyError, Commit, Rebuilding, Rebuilt, Transaction};
pub use tree::{CorruptTree, RootHash, TreeCache, recomputed_root, root};
