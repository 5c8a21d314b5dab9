//! What a subgroup needs of its parent: it is folded below the parent, and reads its keys under the parent's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesto_governance::keys::EpochKey;
use mesto_governance::{Governance, KeyId, Op};
use mesto_oplog::{EntryId, Verified};

use super::Group;
use crate::flight::Work;
use crate::log::Need;
use crate::step::{Effect, Report};

/// What a parent tells its subgroups: immutable, replaced when the parent changes.
#[derive(Clone, Debug)]
pub(crate) struct Above {
    pub(crate) governance: Arc<Governance>,
    pub(crate) keys: Arc<BTreeMap<KeyId, EpochKey>>,
    /// Keys of the parent that somebody has who may not read there any more.
    pub(crate) leaked: Arc<BTreeSet<KeyId>>,
}

/// Begins the fold of a group: of a root, or of a subgroup below what its parent tells.
pub(super) fn begin(genesis: &Verified, above: Option<&Above>) -> Result<Governance, String> {
    match (Governance::parent_named(genesis), above) {
        (None, _) => Governance::genesis(genesis),
        (Some(_), Some(above)) => Governance::genesis_below(genesis, &above.governance),
        (Some(parent), None) => return Err(format!("nothing is known of the parent, group {parent}")),
    }
    .map_err(|e| e.to_string())
}

impl Group {
    /// What the subgroups of this group need to know.
    pub(crate) fn tell_below(&self) -> Option<Above> {
        let governance = Arc::clone(self.governance.as_ref()?);
        Some(Above { governance, keys: Arc::clone(&self.keys), leaked: Arc::new(self.leaked()) })
    }

    /// Ops of the ancestors that an op names and that are not here: it waits for them. A genesis that names a parent
    /// is how a node learns that the group has one.
    pub(super) fn lacking_above(&mut self, entry: &Verified) -> Vec<EntryId> {
        let Ok(op) = Op::decode(entry) else { return Vec::new() };
        if let Some(governance) = &self.governance {
            return governance.missing(&op);
        }
        let Some(parent) = Governance::parent_named(entry) else { return Vec::new() };
        if self.parent.is_none() {
            self.parent = Some(parent);
            self.news.is_subgroup = true;
        }
        let is_known = |op: &EntryId| self.above.as_ref().is_some_and(|above| above.governance.knows(op));
        op.ancestor_parents.into_iter().filter(|op| !is_known(op)).collect()
    }

    /// Goes on below the parent as it is now. `arrived` are ops of the ancestors that have come: what waited for them
    /// is taken in.
    pub(crate) fn follow(&mut self, work: &mut Work<'_>, above: Above, arrived: &[EntryId]) {
        if let Some(governance) = &mut self.governance {
            match Arc::make_mut(governance).follow(&above.governance) {
                Ok(applied) => {
                    self.notify(work, &applied.changes);
                    self.news.rejudge |= applied.rejudge;
                    self.news.changes.extend(applied.changes);
                }
                Err(error) => {
                    let reason = format!("group {} does not follow its parent: {error}", self.id);
                    return work.now(Effect::Report(Report::Refused { entry: EntryId::default(), reason }));
                }
            }
        }
        self.above = Some(above);
        self.book.forget_usable();
        self.open_from_above(work);
        self.news.ops_above.extend(arrived);
        let released: Vec<_> = arrived.iter().flat_map(|op| self.log.arrived(work, Need::Op(*op))).collect();
        if !released.is_empty() {
            self.ingest_all(work, released);
        }
    }
}
