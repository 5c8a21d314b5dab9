//! How groups, members, contexts and logs are shown.

use mesto_governance::action::{Action, Visibility};
use mesto_governance::{ContextId, Op, Role};
use mesto_oplog::Verified;

use super::Node;
use crate::command::{AppVersion, ContextInfo, GroupInfo, LogLine, MemberInfo, SyncInfo, SyncPeer};
use crate::group::Group;

impl Node {
    pub(crate) fn sync_info(&self, id: &ContextId) -> Option<SyncInfo> {
        let context = self.contexts.get(id)?;
        let log = id.log();
        let heads = context.log.heads();
        let peers = self
            .members_online(&context.group)
            .into_iter()
            .filter_map(|peer| {
                let summary = self.sessions.get(&peer)?.summaries.get(&log)?;
                Some(SyncPeer { peer, equal: summary.heads == heads && summary.digest == context.root.0 })
            })
            .collect();
        let fetch = self.fetches.get(&log);
        Some(SyncInfo {
            context: *id,
            root: context.root.0,
            heads,
            peers,
            bytes: fetch.map_or(0, |fetch| fetch.bytes),
            round_trips: fetch.map_or(0, |fetch| fetch.round_trips),
        })
    }

    pub(crate) fn group_info(&self, group: &Group) -> Option<GroupInfo> {
        let state = group.state()?;
        let own = state.standing(&group.member.public());
        Some(GroupInfo {
            group: group.id,
            name: named(state.name()),
            parent: group.parent,
            subgroups: state.subgroups().collect(),
            subgroups_unfollowed: self.unfollowed.get(&group.id).copied().unwrap_or_default(),
            member: group.member.public(),
            role: own.map(|standing| standing.role),
            members: if state.generation() == 0 { state.member_count() } else { state.everybody().len() } as u64,
            contexts: state.contexts().count() as u64,
            target: state.target().map(|target| app_version(&target.set.release)),
            policy: state.policy().into(),
            default_capabilities: state.default_capabilities(),
            default_restricted: state.default_visibility() == Visibility::Restricted,
            deleted: state.is_deleted(),
            heads: group.log.heads(),
            ops: group.log.dag.count(),
            digest: group.governance.as_ref()?.digest(),
            key_held: group.is_key_held(),
        })
    }

    pub(crate) fn context_info(&self, id: &ContextId) -> Option<ContextInfo> {
        let group = self.groups.values().find(|group| group.state().is_some_and(|s| s.context(id).is_some()))?;
        let row = group.state()?.context(id)?;
        let machine = self.contexts.get(id).filter(|context| !context.is_left);
        let bundle = row.release().version;
        Some(ContextInfo {
            context: *id,
            group: group.id,
            name: named(row.name()),
            application: row.release().application,
            bundle,
            version: Some(row.release().app_version.clone()),
            bundle_held: self.installed.contains_key(&bundle),
            root: machine.map_or(mesto_crdt::RootHash::empty().0, |context| context.root.0),
            heads: machine.map(|context| context.log.heads()).unwrap_or_default(),
            entries: machine.map_or(0, crate::context::Context::accepted),
            state_entries: machine.map_or(0, |context| context.leaves),
            voided: machine.map_or(0, |context| context.verdicts.count()),
            parked: machine.map_or(0, |context| context.log.parked()),
            identity: machine.map(|context| context.identity.public()),
            joined: machine.is_some(),
            ready: machine.is_some_and(|context| context.record.caught_up && context.bundle.is_some()),
            restricted: row.visibility() == Visibility::Restricted,
        })
    }
}

pub(crate) fn members(group: &Group) -> Vec<MemberInfo> {
    let Some(state) = group.state() else { return Vec::new() };
    state
        .everybody()
        .into_iter()
        .map(|row| MemberInfo {
            member: row.member,
            role: row.role,
            owner: row.role == Role::Owner,
            capabilities: row.capabilities,
            inherited: row.from != group.id,
            origin: row.from,
            alias: named(&row.alias),
        })
        .collect()
}

pub(crate) fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

pub(crate) fn app_version(release: &mesto_governance::action::Release) -> AppVersion {
    AppVersion {
        application: release.application,
        bundle: release.version,
        size: release.size,
        package: release.package.clone(),
        version: release.app_version.clone(),
    }
}

pub(crate) fn op_line(entry: &Verified) -> LogLine {
    let summary = Op::decode(entry).map_or_else(
        |error| error.to_string(),
        |op| op.actions.iter().map(Action::name).collect::<Vec<_>>().join(", "),
    );
    line(entry, summary)
}

pub(crate) fn delta_line(entry: &Verified) -> LogLine {
    line(entry, format!("{} bytes, encrypted", entry.body().len()))
}

pub(crate) fn line(entry: &Verified, summary: String) -> LogLine {
    let header = entry.header();
    LogLine {
        id: entry.id(),
        author: header.author,
        seq: header.seq,
        stamp: header.stamp.0,
        parents: header.parents.clone(),
        summary,
    }
}
