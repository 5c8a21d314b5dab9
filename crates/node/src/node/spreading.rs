//! What one machine tells is carried to the others: a group's news to its subgroups, its contexts, and the peers.

use mesto_governance::{Change, ContextId, GroupId};

use super::{Node, Timer, Turn};
use crate::command::CommandError;
use crate::context::Context;
use crate::group::keys::{Domain, domain_of};
use crate::group::{Group, News};
use crate::log::Need;

impl Node {
    /// Carries news around until there are none. Until then a group below may not have followed yet, and take somebody
    /// for a member who is none any more.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        loop {
            if let Some((group, news)) = turn.news.pop_front() {
                self.spread(turn, group, news);
            } else if let Some(group) = turn.changed.pop_first() {
                self.welcome_new_members(turn, group);
            } else if let Some((group, domain)) = turn.wanted.pop_front() {
                self.want_epoch(turn, group, domain);
            } else if let Some(group) = turn.stale.pop_front() {
                self.renew_keys(turn, group);
            } else {
                break;
            }
        }
    }

    /// Tells the subgroups and the contexts of a group what has changed in it.
    fn spread(&mut self, turn: &mut Turn<'_>, group: GroupId, news: News) {
        if news.is_subgroup {
            self.follow_parent(turn, group);
        }
        self.carry_down(turn, group, &news);
        let Some(view) = self.groups.get_mut(&group).and_then(Group::view) else { return };
        let ops = news.ops.iter().chain(&news.ops_above).copied().map(Need::Op);
        let arrived: Vec<Need> = ops.chain(news.keys.iter().copied().map(Need::Key)).collect();
        let contexts: Vec<ContextId> =
            self.contexts.values().filter(|context| context.group == group).map(|context| context.id).collect();
        for id in contexts {
            let view = view.clone();
            let taken = self.with_context(turn, &id, |context, work| {
                context.governance = Some(view);
                if news.rejudge {
                    context.rejudge(work);
                }
                let released = arrived.iter().flat_map(|need| context.log.arrived(work, *need)).collect::<Vec<_>>();
                let taken = if released.is_empty() { 0 } else { context.ingest(work, released) };
                context.pump(work);
                taken
            });
            if taken.is_some_and(|taken| taken > 0) {
                self.touched(turn, id.log());
            }
        }
        if !news.ops.is_empty() {
            self.touched(turn, group.log());
            self.expect_merge(turn, group);
        }
        let is_changed = !news.ops.is_empty() || !news.changes.is_empty() || news.is_adopted;
        if is_changed {
            self.retire_card(turn, &group);
            self.adopt_from_above(turn, group);
            self.join_again(turn, group);
            // Who became a member here may have the governance of all groups above.
            turn.changed.extend(self.lineage(&group));
        }
        if !news.keys.is_empty() {
            self.check_caught_up(turn, group.log());
        }
        if !news.changes.is_empty() || news.is_adopted {
            self.want_bundles(turn);
            // Before our identities are bound again: then it shows best who knows already that we are in.
            self.renew_places(turn, group);
            self.rejoin_contexts(turn);
            self.check_contexts_caught_up(turn, group);
        }
        if news.changes.iter().any(|change| matches!(change, Change::GroupDeleted | Change::SubgroupRemoved { .. })) {
            self.follow_more(turn, &group);
        }
        if is_changed && !self.keys_lacking(&group).is_empty() {
            self.timers.set(Timer::Keys(group), turn.time.wall_ms);
        }
    }

    /// A call waits for a key to write under.
    fn want_epoch(&mut self, turn: &mut Turn<'_>, id: GroupId, domain: Domain) {
        let wanted = self.with_group(turn, &id, |group, work| group.want_epoch(work, domain));
        if let Some(Err(error)) = wanted {
            self.refuse_calls(turn, id, domain, &error);
        }
        if !self.keys_lacking(&id).is_empty() {
            self.ask_for_keys(turn, id);
        }
    }

    /// Who goes on by other keys in a group can have an identity in a context by the old ones, and no right to start an
    /// epoch there: its calls would wait for ever.
    fn refuse_calls(&mut self, turn: &mut Turn<'_>, id: GroupId, domain: Domain, error: &CommandError) {
        let Some(state) = self.groups.get(&id).and_then(Group::state) else { return };
        let of_group = self.contexts.values().filter(|context| context.group == id);
        let in_domain = of_group.map(|context| context.id).filter(|context| domain_of(state, context) == domain);
        for context in in_domain.collect::<Vec<_>>() {
            self.with_context(turn, &context, |context, work| context.refuse_calls(work, error));
        }
    }

    /// Makes a context's state follow the verdicts, a piece in each step.
    pub(super) fn rebuild(&mut self, turn: &mut Turn<'_>, id: ContextId) {
        if self.with_context(turn, &id, Context::go_on_rebuilding) == Some(true) {
            self.touched(turn, id.log());
        }
    }
}
