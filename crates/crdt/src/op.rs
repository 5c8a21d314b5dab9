//! What a delta does to the collections, and its canonical encoding.
//!
//! Encoding: borsh. An operation is its tag, then its fields in order. Tags 1 to 4 and 16 are those of
//! [`Op`]; 16 and up belong to sequences (`List`, `Text`), 32 and up to `UserMap`, `Frozen` and `Shared`. A tag that this
//! version does not know is refused, never skipped.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::clock::Hlc;
use crate::dot::{Dot, DotRef, SlotMark};
use crate::id::{Author, CollectionId, DeltaId, Kind};
use crate::sequence::{Content, Deleted, Spans};

/// Longest key of an element: 1 KiB, as apps are promised. Keys sit in every index entry.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest value: 10 MiB, as apps are promised. Larger things are blobs.
pub const VALUE_BYTES_MAX: usize = 10 << 20;
/// Longest encoding of one delta's operations: 16 MiB, the largest delta that travels.
pub const OPS_BYTES_MAX: usize = 16 << 20;

/// One operation on one element of a collection.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Op {
    /// Puts a value at an element: a register (empty key), a map entry or a set member.
    Assign {
        /// Where.
        collection: CollectionId,
        /// Which element.
        key: Vec<u8>,
        /// What.
        value: Value,
        /// The dots that were live there and give way. Strictly ascending.
        overwrites: Vec<DotRef>,
    } = 1,
    /// Takes the observed values of an element away; what was assigned concurrently stays.
    Remove {
        /// Where.
        collection: CollectionId,
        /// Which element.
        key: Vec<u8>,
        /// The dots that were live there. Strictly ascending, not empty.
        observed: Vec<DotRef>,
    } = 2,
    /// Adds to the author's slot of a counter.
    CounterAdd {
        /// Which counter.
        collection: CollectionId,
        /// How much. Not 0.
        amount: i64,
    } = 3,
    /// Takes the observed additions of a counter away, when the map entry that holds it is removed.
    CounterReset {
        /// Which counter.
        collection: CollectionId,
        /// The slots. Strictly ascending by author, not empty.
        observed: Vec<SlotMark>,
    } = 4,
    /// All that the delta does to a text or a list.
    Splice {
        /// Which.
        collection: CollectionId,
        /// What it inserts, and where.
        inserted: Spans,
        /// What it deletes. Something is inserted or deleted.
        deleted: Deleted,
    } = 16,
}

/// What an element holds.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Value {
    /// The app's bytes (registers, maps).
    Bytes(Vec<u8>) = 1,
    /// The presence of a collection under this key (maps).
    Nested(Kind) = 2,
    /// Membership (sets).
    Unit = 3,
}

/// A delta as this crate sees it: who did what, when. The caller has verified and authorised it.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// Its id.
    pub id: DeltaId,
    /// Its author.
    pub author: Author,
    /// Its stamp.
    pub stamp: Hlc,
    /// What it does.
    pub ops: &'a [Op],
}

impl Delta<'_> {
    /// The dot of the operation at `index`.
    pub(crate) fn dot(&self, index: u32) -> Dot {
        Dot { stamp: self.stamp, author: self.author, index, delta: self.id }
    }
}

/// The rule that an operation breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// A key longer than [`KEY_BYTES_MAX`].
    #[error("a key of {bytes} bytes; at most {KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A value longer than [`VALUE_BYTES_MAX`].
    #[error("a value of {bytes} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The operation, value or key does not belong to collections of this kind (`None`: the root).
    #[error("the operation does not fit a collection of kind {kind:?}")]
    WrongCollection {
        /// The collection's kind.
        kind: Option<Kind>,
    },
    /// A presence of a kind that this version has no operations for.
    #[error("collections of kind {kind:?} are not available in this version")]
    KindNotAvailable {
        /// The kind.
        kind: Kind,
    },
    /// A list that must be strictly ascending is not.
    #[error("what the operation names is not strictly ascending")]
    Unsorted,
    /// A removal of nothing.
    #[error("the operation removes nothing")]
    NothingObserved,
    /// An addition of 0.
    #[error("the operation adds 0")]
    ZeroAmount,
    /// A splice that neither inserts nor deletes.
    #[error("the operation changes nothing")]
    ChangesNothing,
    /// A second splice of one sequence in one delta: offsets would count twice.
    #[error("the delta has two operations on sequence {collection}")]
    SplicedTwice {
        /// Which.
        collection: CollectionId,
    },
    /// A run without elements.
    #[error("a run without elements")]
    EmptyRun,
    /// An operation that inserts elements as if its delta were void.
    #[error("a run whose content is gone")]
    GoneRun,
    /// A run between an element and itself.
    #[error("a run whose left and right origin are the same element")]
    SameOrigins,
    /// An anchor beyond the table of mints.
    #[error("an anchor names a mint that is not in the table")]
    UnknownMint,
    /// A mint that no anchor names.
    #[error("the table holds a mint that no anchor names")]
    UnusedMint,
    /// More elements than offsets can count.
    #[error("a delta inserts more than 2^32 elements")]
    TooManyElements,
    /// An anchor or a deletion names an element that is not in the delta's causal past.
    #[error("element {offset} of delta {delta} is not in the causal past")]
    NotInPast {
        /// The delta that is named as its mint.
        delta: DeltaId,
        /// Its offset there.
        offset: u32,
    },
}

impl Op {
    /// Whether the operation obeys the rules that can be told from it alone.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn check(&self) -> Result<(), OpError> {
        match self {
            Op::Assign { collection, key, value, overwrites } => {
                check_key(*collection, key)?;
                check_value(*collection, value)?;
                check_ascending(overwrites)
            }
            Op::Remove { collection, key, observed } => {
                check_key(*collection, key)?;
                check_observed(observed)?;
                check_ascending(observed)
            }
            Op::CounterAdd { collection, amount } => {
                check_counter(*collection)?;
                if *amount == 0 { Err(OpError::ZeroAmount) } else { Ok(()) }
            }
            Op::CounterReset { collection, observed } => {
                check_counter(*collection)?;
                check_observed(observed)?;
                if !observed.is_sorted_by(|a, b| a.author < b.author) {
                    return Err(OpError::Unsorted);
                }
                observed.iter().try_for_each(|slot| check_ascending(&slot.overwrites))
            }
            Op::Splice { collection, inserted, deleted } => check_splice(*collection, inserted, deleted),
        }
    }

    /// The collection that it changes.
    pub fn collection(&self) -> CollectionId {
        match self {
            Op::Assign { collection, .. }
            | Op::Remove { collection, .. }
            | Op::CounterAdd { collection, .. }
            | Op::CounterReset { collection, .. }
            | Op::Splice { collection, .. } => *collection,
        }
    }

    /// Orders the operations of a delta: by element, a counter's addition before its reset.
    pub(crate) fn place(&self) -> (CollectionId, &[u8], u8) {
        match self {
            Op::Assign { collection, key, .. } | Op::Remove { collection, key, .. } => (*collection, key, 0),
            Op::CounterAdd { collection, .. } | Op::Splice { collection, .. } => (*collection, &[], 0),
            Op::CounterReset { collection, .. } => (*collection, &[], 1),
        }
    }
}

fn check_key(collection: CollectionId, key: &[u8]) -> Result<(), OpError> {
    if key.len() > KEY_BYTES_MAX {
        return Err(OpError::KeyTooLong { bytes: key.len() });
    }
    match collection.kind() {
        Some(Kind::Map | Kind::Set) => Ok(()),
        Some(Kind::Register) if key.is_empty() => Ok(()),
        kind => Err(OpError::WrongCollection { kind }),
    }
}

fn check_value(collection: CollectionId, value: &Value) -> Result<(), OpError> {
    match (collection.kind(), value) {
        (Some(Kind::Map | Kind::Register), Value::Bytes(bytes)) => {
            if bytes.len() > VALUE_BYTES_MAX {
                return Err(OpError::ValueTooLarge { bytes: bytes.len() });
            }
            Ok(())
        }
        (Some(Kind::Map), Value::Nested(kind)) if kind.is_available() => Ok(()),
        (Some(Kind::Map), Value::Nested(kind)) => Err(OpError::KindNotAvailable { kind: *kind }),
        (Some(Kind::Set), Value::Unit) => Ok(()),
        (kind, _) => Err(OpError::WrongCollection { kind }),
    }
}

fn check_counter(collection: CollectionId) -> Result<(), OpError> {
    match collection.kind() {
        Some(Kind::Counter) => Ok(()),
        kind => Err(OpError::WrongCollection { kind }),
    }
}

fn check_splice(collection: CollectionId, inserted: &Spans, deleted: &Deleted) -> Result<(), OpError> {
    let kind = match collection.kind() {
        Some(kind @ (Kind::Text | Kind::List)) => kind,
        kind => return Err(OpError::WrongCollection { kind }),
    };
    if inserted.is_empty() && deleted.is_nothing() {
        return Err(OpError::ChangesNothing);
    }
    if inserted.runs.iter().any(|run| matches!(run.content, Content::Gone(_))) {
        return Err(OpError::GoneRun);
    }
    inserted.check(kind)?;
    deleted.check()
}

fn check_observed<T>(observed: &[T]) -> Result<(), OpError> {
    if observed.is_empty() { Err(OpError::NothingObserved) } else { Ok(()) }
}

fn check_ascending(names: &[DotRef]) -> Result<(), OpError> {
    if names.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(OpError::Unsorted) }
}

/// Why bytes are not a list of operations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More than [`OPS_BYTES_MAX`].
    #[error("{bytes} bytes of operations; at most {OPS_BYTES_MAX} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// Not the canonical encoding of operations that this version knows.
    #[error("not an encoding of operations: {0}")]
    Encoding(String),
    /// An operation breaks a rule.
    #[error("operation {index}: {error}")]
    Op {
        /// Which.
        index: usize,
        /// The rule.
        error: OpError,
    },
    /// Two operations touch the same element, or they are not in order of their elements.
    #[error("operation {index} is not in order of the elements")]
    OutOfOrder {
        /// The later one.
        index: usize,
    },
}

/// The canonical bytes of a delta's operations: a `u32` count, then each.
pub fn encode_ops(ops: &[Op]) -> Vec<u8> {
    borsh::to_vec(ops).expect("INVARIANT: writing to memory does not fail, and lists are shorter than 2^32")
}

/// Reads what [`encode_ops`] wrote. Total over all byte strings: what it accepts re-encodes to the same bytes,
/// obeys [`Op::check`], and names each element once, in order.
///
/// # Errors
/// [`DecodeError`], naming the broken rule.
pub fn decode_ops(bytes: &[u8]) -> Result<Vec<Op>, DecodeError> {
    if bytes.len() > OPS_BYTES_MAX {
        return Err(DecodeError::TooLarge { bytes: bytes.len() });
    }
    let ops: Vec<Op> = borsh::from_slice(bytes).map_err(|error| DecodeError::Encoding(error.to_string()))?;
    for (index, op) in ops.iter().enumerate() {
        op.check().map_err(|error| DecodeError::Op { index, error })?;
    }
    match ops.windows(2).position(|pair| pair[0].place() >= pair[1].place()) {
        Some(earlier) => Err(DecodeError::OutOfOrder { index: earlier + 1 }),
        None => Ok(ops),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(delta: u8) -> DotRef {
        DotRef { delta: DeltaId([delta; 32]), index: 0 }
    }

    fn assign(key: &[u8]) -> Op {
        Op::Assign {
            collection: CollectionId::ROOT.child(Kind::Map, b"m"),
            key: key.to_vec(),
            value: Value::Bytes(vec![1]),
            overwrites: vec![name(1), name(2)],
        }
    }

    #[test]
    fn decoding_refuses_what_is_out_of_order_or_left_over() {
        let good = encode_ops(&[assign(b"a"), assign(b"b")]);
        assert_eq!(decode_ops(&good).map(|ops| ops.len()), Ok(2));
        let swapped = encode_ops(&[assign(b"b"), assign(b"a")]);
        assert_eq!(decode_ops(&swapped), Err(DecodeError::OutOfOrder { index: 1 }));
        let twice = encode_ops(&[assign(b"a"), assign(b"a")]);
        assert_eq!(decode_ops(&twice), Err(DecodeError::OutOfOrder { index: 1 }));
        let trailing = [good.as_slice(), &[0]].concat();
        assert!(matches!(decode_ops(&trailing), Err(DecodeError::Encoding(_))));
        for cut in 0..good.len() {
            assert!(decode_ops(&good[..cut]).is_err());
        }
    }

    #[test]
    fn an_operation_must_fit_its_collection() {
        let set = CollectionId::ROOT.child(Kind::Set, b"s");
        let register = CollectionId::ROOT.child(Kind::Register, b"r");
        let bytes = || Value::Bytes(vec![]);
        for (collection, key, value) in [
            (set, vec![], bytes()),
            (register, vec![1], bytes()),
            (register, vec![], Value::Nested(Kind::Map)),
            (CollectionId::ROOT, vec![], bytes()),
            (CollectionId::ROOT.child(Kind::Counter, b"c"), vec![], bytes()),
        ] {
            let kind = collection.kind();
            let op = Op::Assign { collection, key, value, overwrites: vec![] };
            assert_eq!(op.check(), Err(OpError::WrongCollection { kind }));
        }
        let add = Op::CounterAdd { collection: register, amount: 1 };
        assert!(matches!(add.check(), Err(OpError::WrongCollection { .. })));
    }

    #[test]
    fn names_are_strictly_ascending_and_removals_name_something() {
        let remove =
            |observed| Op::Remove { collection: CollectionId::ROOT.child(Kind::Set, b"s"), key: vec![], observed };
        assert_eq!(remove(vec![name(1), name(2)]).check(), Ok(()));
        assert_eq!(remove(vec![name(2), name(1)]).check(), Err(OpError::Unsorted));
        assert_eq!(remove(vec![name(1), name(1)]).check(), Err(OpError::Unsorted));
        assert_eq!(remove(vec![]).check(), Err(OpError::NothingObserved));
    }

    #[test]
    fn keys_and_values_are_bounded() {
        let collection = CollectionId::ROOT.child(Kind::Map, b"m");
        let op = |key, value| Op::Assign { collection, key, value, overwrites: vec![] };
        let value = |len| Value::Bytes(vec![0; len]);
        assert_eq!(op(vec![0; KEY_BYTES_MAX], value(VALUE_BYTES_MAX)).check(), Ok(()));
        assert!(op(vec![0; KEY_BYTES_MAX + 1], value(0)).check().is_err());
        assert!(op(vec![], value(VALUE_BYTES_MAX + 1)).check().is_err());
        let unknown = op(vec![], Value::Nested(Kind::Shared));
        assert_eq!(unknown.check(), Err(OpError::KindNotAvailable { kind: Kind::Shared }));
    }
}
