//! Making leaves anew from the log, in as many parts as one likes.

use std::collections::{BTreeMap, BTreeSet};

use super::{ApplyError, Transaction};
use crate::id::DeltaId;
use crate::leaf::Leaf;
use crate::op::Delta;

/// A delta from the log, for [`Transaction::rebuild`].
#[derive(Clone, Copy)]
pub struct Rebuilt<'d> {
    /// The delta.
    pub delta: Delta<'d>,
    /// As for [`Transaction::apply`].
    pub in_past: &'d dyn Fn(&DeltaId) -> bool,
    /// Whether it is void.
    pub is_void: bool,
}

/// Leaves that are made anew, as they are after the deltas that were taken so far. Belongs to no transaction, so that each
/// part of the work can be done in one of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilding {
    /// By key what is made so far; nothing if the leaf is absent.
    leaves: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Rebuilding {
    /// Begins with nothing of these leaves.
    #[must_use]
    pub fn of(leaves: BTreeSet<Vec<u8>>) -> Self {
        Self { leaves: leaves.into_iter().map(|key| (key, None)).collect() }
    }
}

impl Transaction<'_> {
    /// Takes the next deltas of a rebuild: the leaves become what they would be if exactly all deltas that were taken had
    /// been applied, each as it is now, for instance after one became void or ceased to be. The leaves are the
    /// [`Delta::leaf_keys`] of those that changed; the deltas of all parts are, in causal order, at least these and all
    /// others that touch any of the leaves. The state of the transaction stays as it is until [`Transaction::put_rebuilt`].
    ///
    /// # Errors
    /// As for [`Transaction::apply`], but the transaction must be dropped after any.
    pub fn rebuild(&mut self, rebuilding: &mut Rebuilding, deltas: &[Rebuilt<'_>]) -> Result<(), ApplyError> {
        let mut touched = BTreeSet::new();
        let mut touching = Vec::new();
        for rebuilt in deltas {
            let keys = self.leaf_keys(&rebuilt.delta, rebuilt.in_past)?.into_iter();
            let mut wanted = keys.filter(|key| rebuilding.leaves.contains_key(key)).peekable();
            if wanted.peek().is_some() {
                touching.push(rebuilt);
            }
            touched.extend(wanted);
        }
        let mut aside = Vec::new();
        for key in touched {
            aside.push((key.clone(), self.encoded(&key)?));
            let made = rebuilding.leaves.get(&key).and_then(Option::as_deref);
            self.put(key, made)?;
        }
        let wanted = |key: &[u8]| rebuilding.leaves.contains_key(key);
        for Rebuilt { delta, in_past, is_void } in touching {
            if *is_void {
                self.apply_void_where(delta, &wanted)?;
            } else {
                self.apply_where(delta, in_past, &wanted)?;
            }
        }
        for (key, before) in aside {
            let made = self.encoded(&key)?;
            self.put(key.clone(), before.as_deref())?;
            rebuilding.leaves.insert(key, made);
        }
        Ok(())
    }

    /// Puts the leaves of a rebuild in the place of those that there are.
    ///
    /// # Errors
    /// As for [`Transaction::put`].
    pub fn put_rebuilt(&mut self, rebuilding: &Rebuilding) -> Result<(), ApplyError> {
        for (key, made) in &rebuilding.leaves {
            self.put(key.clone(), made.as_deref())?;
        }
        Ok(())
    }

    fn encoded(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, ApplyError> {
        Ok(self.leaf(key.to_vec())?.as_ref().map(Leaf::encode))
    }
}
