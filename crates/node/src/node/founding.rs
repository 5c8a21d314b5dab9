//! Beginning groups: at the root, or below a parent.

use mesto_governance::action::{
    Action, Alias, AliasSet, Domain, GroupCreated, ParentWrap, PeerHint, SubgroupCreated, TargetApplicationSet,
    UpgradePolicySet,
};
use mesto_governance::keys::{EpochKey, SealingKey};
use mesto_governance::{GroupId, Op};
use mesto_oplog::entry::{Draft, PARENTS_MAX};
use mesto_oplog::{EntryId, Incarnation, SigningKey, Verified};

use super::creations::release;
use super::infos::app_version;
use super::{Node, Turn};
use crate::command::{AppVersion, CommandError, Policy, Reply, Selector};
use crate::flow::Flow;
use crate::group::keys::epoch_action;
use crate::group::{Group, genesis_header};
use crate::record::GroupRecord;
use crate::step::{Effect, Ticket};

/// What a new group is to be like.
#[derive(Debug)]
pub(crate) struct Foundation<'a> {
    pub(crate) name: Option<String>,
    pub(crate) application: Option<&'a Selector>,
    pub(crate) parent: Option<&'a Selector>,
    pub(crate) policy: Policy,
}

/// What a subgroup takes from its parent.
struct Below {
    parent: GroupId,
    ancestor_parents: Vec<EntryId>,
    wrap: ParentWrap,
}

impl Node {
    /// Begins a group.
    pub(crate) fn group_create(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        foundation: Foundation<'_>,
    ) -> Result<(), CommandError> {
        let above = foundation.parent.map(|selector| self.member_group(selector)).transpose()?;
        // A subgroup runs what its parent runs, unless somebody says otherwise.
        let of_parent = || Some(app_version(&above?.state()?.target()?.set.release));
        let chosen = foundation.application.map(|selector| self.application(selector)).transpose()?;
        let target = chosen.or_else(of_parent);
        let parent = above.map(|group| group.id);
        let key = EpochKey::new(turn.entropy.bytes(), turn.entropy.bytes());
        let below = parent.map(|parent| self.below(turn, parent, &key)).transpose()?;
        // One member key for a whole tree of groups.
        let seeds = below.as_ref().and_then(|below| self.groups.get(&below.parent)).map(|group| group.record.clone());
        let record = match seeds {
            Some(seeds) => GroupRecord { incarnation: Incarnation(turn.entropy.number()), ..seeds },
            None => GroupRecord {
                member_seed: turn.entropy.bytes(),
                sealing_seed: turn.entropy.bytes(),
                incarnation: Incarnation(turn.entropy.number()),
            },
        };
        let Foundation { name, policy, .. } = foundation;
        let genesis = self.genesis(turn, &record, &key, below.as_ref(), (name, target.as_ref(), policy))?;
        let id = GroupId::of_genesis(genesis.id());
        let number = self.number_of(&id.log());
        let mut group = Group::new(id, number, record);
        if let Some(below) = &below {
            group.parent = Some(below.parent);
            group.above = self.groups.get(&below.parent).and_then(Group::tell_below);
        }
        self.adopt_group(group);
        let begun = self.with_group(turn, &id, |group, work| {
            group.save_record(work);
            group.begin(work, &genesis)
        });
        if let Some(Err(error)) = begun {
            self.groups.remove(&id);
            self.logs.remove(&id.log());
            return Err(error);
        }
        // Named by the parent only now, so that a crash cannot leave a name for nothing.
        let last = below.as_ref().map_or(id, |below| below.parent);
        self.with_group(turn, &last, |group, work| {
            if group.id != id {
                group.author(work, vec![Action::SubgroupCreated(SubgroupCreated { group: id })])?;
            }
            let reply = Reply::GroupCreated { group: id, member: group.member.public() };
            work.after(Effect::Reply(ticket, Box::new(Ok(reply))));
            Ok(())
        })
        .unwrap_or(Err(CommandError::Stopping))?;
        turn.effect(Effect::Subscribe(self.topic(&id.log())));
        self.hello_again(turn, id);
        self.touched(turn, id.log());
        if let Some(Below { parent, .. }) = below {
            turn.report(Flow::here("f15", "subgroup begun", id));
            turn.report(Flow::to_all("f15", "subgroup named", parent));
            self.touched(turn, parent.log());
        }
        self.want_bundles(turn);
        Ok(())
    }

    /// What a subgroup of `parent` takes from it, if we may begin one.
    fn below(&mut self, turn: &mut Turn<'_>, parent: GroupId, key: &EpochKey) -> Result<Below, CommandError> {
        let naming = Action::SubgroupCreated(SubgroupCreated { group: GroupId::default() });
        let of = self.groups.get(&parent).ok_or(CommandError::Stopping)?;
        of.check(turn.time.wall_ms, vec![naming])?;
        self.renew_group_key(turn, parent)?;
        let nonce = turn.entropy.bytes();
        let prepared = self.with_group(turn, &parent, |group, work| {
            if group.frontier().len() > PARENTS_MAX {
                group.author(work, vec![Action::Merge])?;
            }
            let current = group.current_key().ok_or(CommandError::KeyMissing(parent))?;
            let wrap = current.wrap_child(key, nonce).map_err(|e| CommandError::Invalid(e.to_string()))?;
            Ok(Below { parent, ancestor_parents: group.frontier(), wrap })
        });
        prepared.unwrap_or(Err(CommandError::Stopping))
    }

    /// The first op of a group.
    fn genesis(
        &self,
        turn: &mut Turn<'_>,
        record: &GroupRecord,
        key: &EpochKey,
        below: Option<&Below>,
        (name, target, policy): (Option<String>, Option<&AppVersion>, Policy),
    ) -> Result<Verified, CommandError> {
        let member = SigningKey::from_seed(&record.member_seed);
        let sealing = SealingKey::from_seed(&record.sealing_seed);
        let seed = turn.entropy.bytes();
        let invalid = |e: &dyn std::fmt::Display| CommandError::Invalid(e.to_string());
        let wrap = key.seal(member.public(), sealing.public(), &seed).map_err(|e| invalid(&e))?;
        let mut actions = vec![
            Action::GroupCreated(GroupCreated {
                nonce: *key.domain(),
                parent: below.map(|below| below.parent),
                sealing_key: sealing.public(),
                peer: PeerHint(self.peer.as_bytes().to_vec()),
            }),
            epoch_action(Domain::Group, key, vec![wrap], below.map(|below| below.wrap.clone()), Vec::new()),
            Action::UpgradePolicySet(UpgradePolicySet { policy: policy.into() }),
        ];
        if let Some(name) = name {
            actions.push(Action::AliasSet(AliasSet { subject: Alias::Group, name }));
        }
        if let Some(name) = self.name.clone() {
            actions.push(Action::AliasSet(AliasSet { subject: Alias::Member(member.public()), name }));
        }
        if let Some(app) = target {
            actions.push(Action::TargetApplicationSet(TargetApplicationSet { release: release(app), migrate: None }));
        }
        let ancestor_parents = below.map(|below| below.ancestor_parents.clone()).unwrap_or_default();
        let body = Op { ancestor_parents, ..Op::new(actions) }.encode().map_err(|e| invalid(&e))?;
        let header = genesis_header(member.public(), record, turn.time.wall_ms);
        Draft { header, body }.sign(&member).map_err(|e| invalid(&e))
    }
}
