//! Whether an op shut a member out of a context.

use mesto_oplog::PublicKey;

use crate::action::{Action, Visibility};
use crate::fold::Context;
use crate::fold::Governance;
use crate::fold::graph::Ix;

impl Governance {
    /// Whether `member` is shut out of a context by what is live and does not come after `op`: it is Restricted, and the
    /// member is not on its list. What comes after `op` may let the member in again, and gives nothing back of what was
    /// written in between; what happened beside it counts, and the least privilege stands.
    pub(super) fn is_locked_out(&self, row: &Context, member: &PublicKey, op: Ix) -> bool {
        let by_then = |&of: &Ix| !self.graph().is_past(op, of) && !self.now().dead.contains(&of);
        let gates: Vec<(Ix, &Action)> = row
            .gates
            .iter()
            .copied()
            .filter(by_then)
            .flat_map(|of| self.graph().node(of).payload.op.actions.iter().map(move |action| (of, action)))
            .filter(|(of, action)| {
                let id = self.graph().node(*of).id;
                action.context_ref().is_some_and(|context| context.resolve(id) == row.id)
            })
            .collect();
        let shown = gates.iter().filter_map(|&(of, action)| {
            let Action::ContextVisibilitySet(set) = action else { return None };
            Some((of, set.visibility == Visibility::Open))
        });
        if !self.is_taken(shown.collect()) {
            return false;
        }
        let registered = (row.creator == *member).then_some((row.ix, true));
        let ends = self.graph().seats_of(member).filter(by_then);
        let ends = ends.filter(|&of| self.graph().node(of).effects.gives(member).is_none()).map(|of| (of, false));
        let listed = gates.iter().filter_map(|&(of, action)| {
            if let Action::ContextAllowed(allowed) = action {
                return (allowed.member == *member).then_some((of, true));
            }
            let Action::ContextDisallowed(disallowed) = action else { return None };
            (disallowed.member == *member).then_some((of, false))
        });
        let listed: Vec<(Ix, bool)> = registered.into_iter().chain(ends).chain(listed).collect();
        listed.is_empty() || self.is_taken(listed) || row.delisted.contains(&(*member, None))
    }

    /// Whether one of the newest ops takes what is given or taken; of one op its last word counts.
    fn is_taken(&self, said: Vec<(Ix, bool)>) -> bool {
        let is_last = |at: usize| {
            let (op, _) = said[at];
            let later = said.iter().enumerate().any(|(other, (of, _))| other > at && *of == op);
            !later && !said.iter().any(|(of, _)| self.graph().is_past(op, *of))
        };
        (0..said.len()).any(|at| is_last(at) && !said[at].1)
    }
}
