//! From the node's words to the interface's.

use mesto_api::application::Application;
use mesto_api::context::{Context, ContextCreated, Seat, Sync, SyncPeer};
use mesto_api::group::{Acted, Group, Invitation, Join, LogLine, Member, Policy, Target, Why, WhyOp, WhyRow};
use mesto_governance::{Capabilities, Capability};
use mesto_node::command;
use mesto_oplog::EntryId;
use mesto_oplog::id::to_text;

use crate::driver::Handle;

/// How contexts are compared in this version: each side tells its vector of entries, and sends what the other lacks.
const SYNC_PROTOCOL: &str = "delta";

pub(super) fn application(version: &command::AppVersion, signer: Option<String>) -> Application {
    Application {
        application_id: version.application.to_string(),
        blob_id: version.bundle.to_string(),
        package: version.package.clone(),
        version: version.version.clone(),
        signer_id: signer,
        size: version.size,
    }
}

pub(super) fn policy(policy: command::Policy) -> Policy {
    match policy {
        command::Policy::Automatic => Policy::Automatic,
        command::Policy::Coordinated => Policy::Coordinated,
        command::Policy::Lazy => Policy::Lazy,
    }
}

pub(super) fn policy_of(policy: Policy) -> command::Policy {
    match policy {
        Policy::Automatic => command::Policy::Automatic,
        Policy::Coordinated => command::Policy::Coordinated,
        Policy::Lazy => command::Policy::Lazy,
    }
}

pub(super) fn capabilities(held: Capabilities) -> Vec<String> {
    Capability::ALL
        .into_iter()
        .filter(|capability| held.has(*capability))
        .map(|capability| capability.name().to_owned())
        .collect()
}

pub(super) fn texts(ids: &[EntryId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

pub(super) fn group(group: &command::GroupInfo) -> Group {
    Group {
        group_id: group.group.to_string(),
        name: group.name.clone(),
        parent_id: group.parent.as_ref().map(ToString::to_string),
        subgroups: group.subgroups.iter().map(ToString::to_string).collect(),
        subgroups_unfollowed: group.subgroups_unfollowed,
        member_id: group.member.to_string(),
        role: group.role.map(|role| role.name().to_owned()),
        members: group.members,
        contexts: group.contexts,
        target: group.target.as_ref().map(|target| Target {
            application_id: target.application.to_string(),
            blob_id: target.bundle.to_string(),
            package: target.package.clone(),
            version: target.version.clone(),
        }),
        policy: policy(group.policy),
        default_capabilities: capabilities(group.default_capabilities),
        default_visibility: visibility(group.default_restricted).to_owned(),
        deleted: group.deleted,
        heads: texts(&group.heads),
        ops: group.ops,
        digest: to_text(&group.digest),
        key_held: group.key_held,
    }
}

pub(super) fn why(group: &command::GroupInfo, right: String, why: &mesto_governance::Why) -> Why {
    let op = |op: &mesto_governance::why::OpRef, voided_by: Option<EntryId>| WhyOp {
        op_id: op.op.to_string(),
        author: op.author.to_string(),
        actions: op.actions.iter().map(ToString::to_string).collect(),
        voided_by: voided_by.as_ref().map(ToString::to_string),
    };
    let row = |row: &mesto_governance::why::Row| WhyRow {
        group_id: row.group.to_string(),
        role: row.standing.map(|standing| standing.role.name().to_owned()),
        capabilities: row.standing.map(|standing| capabilities(standing.effective())).unwrap_or_default(),
        counts: row.counts,
        decided_by: row.by.iter().map(|by| op(by, None)).collect(),
        dead: row.dead.iter().map(|dead| op(&dead.op, dead.voided_by)).collect(),
    };
    Why {
        group_id: group.group.to_string(),
        member_id: why.member.to_string(),
        right,
        allowed: why.verdict.is_ok(),
        denied: why.verdict.as_ref().err().map(ToString::to_string),
        rows: why.rows.iter().map(row).collect(),
        ended: why.ended.iter().map(ToString::to_string).collect(),
        text: why.to_string(),
    }
}

pub(super) fn member(member: &command::MemberInfo) -> Member {
    Member {
        member_id: member.member.to_string(),
        role: if member.owner { "owner" } else { member.role.name() }.to_owned(),
        capabilities: capabilities(member.capabilities),
        inherited: member.inherited,
        origin: member.origin.to_string(),
        alias: member.alias.clone(),
    }
}

pub(super) const fn visibility(restricted: bool) -> &'static str {
    if restricted { "restricted" } else { "open" }
}

pub(super) fn acted(acted: &command::Acted) -> Acted {
    Acted {
        group_id: acted.group.to_string(),
        context_id: acted.context.map(|context| context.to_string()),
        member_id: acted.member.map(|member| member.to_string()),
        op_id: acted.op.to_string(),
    }
}

pub(super) fn invitation(invitation: &command::InvitationInfo) -> Invitation {
    Invitation {
        invitation_id: invitation.invitation.to_string(),
        inviter: invitation.inviter.to_string(),
        role: invitation.role.name().to_owned(),
        capabilities: capabilities(invitation.capabilities),
        expires_at: mesto_api::time::rfc3339(invitation.expires_at_ms),
        uses: invitation.uses,
        used: invitation.used,
        revoked: invitation.revoked,
    }
}

pub(super) fn seat(seat: &command::Seat) -> Seat {
    Seat {
        member_id: seat.member.to_string(),
        alias: seat.alias.clone(),
        role: seat.role.map(|role| role.name().to_owned()),
        allowed: seat.allowed,
        reads: seat.reads,
        writes: seat.writes,
        identities: seat.identities.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn join(join: &command::JoinInfo) -> Join {
    Join {
        group_id: join.group.to_string(),
        member_id: join.member.to_string(),
        contexts: join.contexts.iter().map(|(context, _)| context.to_string()).collect(),
        contexts_pending: join
            .contexts
            .iter()
            .filter(|(_, ready)| !ready)
            .map(|(context, _)| context.to_string())
            .collect(),
        joined: join.joined,
        ready: join.ready,
        refused: join.refused.clone(),
    }
}

pub(super) fn context(context: &command::ContextInfo) -> Context {
    Context {
        context_id: context.context.to_string(),
        group_id: context.group.to_string(),
        name: context.name.clone(),
        application_id: context.application.to_string(),
        blob_id: context.bundle.to_string(),
        version: context.version.clone(),
        bundle_held: context.bundle_held,
        root_hash: to_text(&context.root),
        heads: texts(&context.heads),
        entries: context.entries,
        state_entries: context.state_entries,
        voided: context.voided,
        parked: context.parked,
        identity: context.identity.map(|identity| identity.to_string()),
        joined: context.joined,
        ready: context.ready,
        visibility: visibility(context.restricted).to_owned(),
    }
}

pub(super) fn context_created(
    context: mesto_governance::ContextId,
    identity: mesto_oplog::PublicKey,
) -> ContextCreated {
    ContextCreated { context_id: context.to_string(), identity: identity.to_string() }
}

pub(super) fn sync(sync: &command::SyncInfo) -> Sync {
    let peers: Vec<SyncPeer> =
        sync.peers.iter().map(|peer| SyncPeer { peer_id: Handle::peer_text(&peer.peer), equal: peer.equal }).collect();
    Sync {
        context_id: sync.context.to_string(),
        root_hash: to_text(&sync.root),
        heads: texts(&sync.heads),
        protocol: SYNC_PROTOCOL.to_owned(),
        bytes: sync.bytes,
        round_trips: sync.round_trips,
        converged: !peers.is_empty() && peers.iter().all(|peer| peer.equal),
        peers,
    }
}

pub(super) fn log_line(line: &command::LogLine) -> LogLine {
    LogLine {
        id: line.id.to_string(),
        author: line.author.to_string(),
        seq: line.seq,
        hlc: line.stamp.to_string(),
        parents: texts(&line.parents),
        summary: line.summary.clone(),
    }
}
