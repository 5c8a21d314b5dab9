//! One step of the node, and how machines act in it: what each gives is collected, and its news wait for the others.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use mesto_governance::{ContextId, GroupId};
use mesto_sync::{Message, Peer};

use super::{Node, Timer};
use crate::context::Context;
use crate::entropy::Entropy;
use crate::flight::{Departure, Work};
use crate::group::keys::{Domain, domain_of};
use crate::group::{Group, News};
use crate::step::{Effect, Lane, MachineId, Report, Step, Time};
use crate::store::Snapshot;

/// When a context goes on with work that is too long for one step, in milliseconds: what came meanwhile has its turn first.
const NEXT_PIECE_MS: u64 = 1;

/// One step: what came with it, and what leaves it.
pub(crate) struct Turn<'a> {
    pub(crate) time: Time,
    pub(crate) entropy: &'a mut Entropy,
    pub(crate) snapshot: &'a Arc<dyn Snapshot>,
    pub(crate) step: Step,
    pub(super) news: VecDeque<(GroupId, News)>,
    /// Groups whose members may have become others: what peers are told of them comes after all groups have followed.
    pub(super) changed: BTreeSet<GroupId>,
    /// Domains in which a call waits for a key to write under.
    pub(super) wanted: VecDeque<(GroupId, Domain)>,
    /// Groups in which somebody has just lost the right to read, by what was decided above them.
    pub(super) stale: VecDeque<GroupId>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(time: Time, entropy: &'a mut Entropy, snapshot: &'a Arc<dyn Snapshot>) -> Self {
        Self {
            time,
            entropy,
            snapshot,
            step: Step::default(),
            news: VecDeque::new(),
            changed: BTreeSet::new(),
            wanted: VecDeque::new(),
            stale: VecDeque::new(),
        }
    }
}

impl Turn<'_> {
    pub(super) fn take(&mut self, machine: MachineId, departure: Departure) {
        if let Some((seq, batch)) = departure.batch {
            self.step.batches.push((machine, seq, batch));
        }
        self.step.effects.extend(departure.effects);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    pub(crate) fn send(&mut self, peer: Peer, message: Message) {
        self.effect(Effect::Send(peer, Lane::Sync, message));
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.effect(Effect::Report(report));
    }
}

impl Node {
    pub(crate) fn with_group<R>(
        &mut self,
        turn: &mut Turn<'_>,
        id: &GroupId,
        act: impl FnOnce(&mut Group, &mut Work<'_>) -> R,
    ) -> Option<R> {
        let group = self.groups.get_mut(id)?;
        let mut work = group.flight.begin(turn.snapshot, turn.time, turn.entropy);
        let result = act(group, &mut work);
        let departure = group.flight.depart(work);
        let news = std::mem::take(&mut group.news);
        turn.take(MachineId::Group(*id), departure);
        if !news.is_empty() {
            turn.news.push_back((*id, news));
        }
        Some(result)
    }

    pub(crate) fn with_context<R>(
        &mut self,
        turn: &mut Turn<'_>,
        id: &ContextId,
        act: impl FnOnce(&mut Context, &mut Work<'_>) -> R,
    ) -> Option<R> {
        let context = self.contexts.get_mut(id)?;
        let mut work = context.flight.begin(turn.snapshot, turn.time, turn.entropy);
        let result = act(context, &mut work);
        let departure = context.flight.depart(work);
        turn.take(MachineId::Context(*id), departure);
        if context.is_rebuilding() {
            self.timers.set(Timer::Rebuild(*id), turn.time.wall_ms + NEXT_PIECE_MS);
        }
        if std::mem::take(&mut context.wants_epoch)
            && let Some(view) = &context.governance
        {
            turn.wanted.push_back((context.group, domain_of(view.governance.state(), id)));
        }
        Some(result)
    }

    /// A step of the node's own machine: joins and peers.
    pub(crate) fn with_own(&mut self, turn: &mut Turn<'_>, act: impl FnOnce(&mut Work<'_>)) {
        let mut work = self.flight.begin(turn.snapshot, turn.time, turn.entropy);
        act(&mut work);
        let departure = self.flight.depart(work);
        turn.take(MachineId::Node, departure);
    }
}
