//! What an op costs as a group's log grows: `cargo run --release -p mesto-governance --example long_log`.
//!
//! Prints one JSON object per history: microseconds per op for the first and the last thousand (signatures excluded),
//! and the slowest single op, milliseconds for a fold from nothing, and microseconds for a clone that goes on by one op, and
//! for an op that is beside nearly all others.
//! With an argument, of that many ops instead of ten thousand; a fifth of them where an owner signs them side by side.

#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // A measuring tool needs a clock.

use std::error::Error;
use std::time::Instant;

use mesto_governance::action::{Alias, AliasSet, GroupCreated, MemberAdded, MemberRemoved, MemberRoleSet, PeerHint};
use mesto_governance::{Action, Capabilities, Governance, Op, Role, SealingPublicKey};
use mesto_oplog::entry::{Draft, Header, Kind, PARENTS_MAX, Stamp};
use mesto_oplog::{EntryId, Incarnation, LogId, PublicKey, SigningKey, Verified};

const OPS: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let ops = std::env::args().nth(1).map_or(Ok(OPS), |ops| ops.parse())?;
    let histories = [
        ("one branch", history(ops, 1, false)?),
        ("three branches", history(ops, 3, false)?),
        ("with removals", history(ops, 3, true)?),
        ("one member again and again", about_one(ops, false)?),
        ("one member, side by side", about_one(ops / 5, true)?),
    ];
    for (name, entries) in histories {
        let mut governance = Governance::genesis(&entries[0])?;
        let mut micros = Vec::new();
        for entry in &entries[1..] {
            let start = Instant::now();
            governance.apply(entry)?;
            micros.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let kept = governance.clone();
        let last = entries.last().ok_or("no ops")?;
        let mut heads = governance.heads();
        heads.truncate(PARENTS_MAX);
        let next = sign(&SigningKey::from_seed(&[1; 32]), last.log(), heads, ops, vec![Action::Merge])?;
        let start = Instant::now();
        let mut onward = kept.clone();
        onward.apply(&next)?;
        let onward_micros = start.elapsed().as_secs_f64() * 1e6;
        // Somebody backdates: the op is beside nearly the whole log.
        let early = vec![entries[1].id()];
        let late = sign(&SigningKey::from_seed(&[2; 32]), last.log(), early, ops + 1, vec![Action::Merge])?;
        let start = Instant::now();
        governance.apply(&late)?;
        let beside_micros = start.elapsed().as_secs_f64() * 1e6;
        let part = micros.len().min(1_000);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let start = Instant::now();
        let same = governance.resolved().digest() == governance.digest();
        println!(
            "{{\"history\":\"{name}\",\"firstMicros\":{:.1},\"lastMicros\":{:.1},\"slowestMs\":{:.1},\"onwardMicros\":{onward_micros:.1},\"besideMicros\":{beside_micros:.1},\"totalMs\":{:.0},\"resolveMs\":{:.0},\"same\":{same}}}",
            mean(&micros[..part]),
            mean(&micros[micros.len() - part..]),
            micros.iter().copied().fold(0.0, f64::max) / 1e3,
            micros.iter().sum::<f64>() / 1e3,
            start.elapsed().as_secs_f64() * 1e3,
        );
    }
    Ok(())
}

/// An owner who changes the role of one member, again and again: each time knowing of the time before, or of none.
fn about_one(ops: u64, is_beside: bool) -> Result<Vec<Verified>, Box<dyn Error>> {
    let mut entries = history(2, 1, false)?;
    let (owner, member) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]).public());
    let log = entries[0].log();
    let mut parent = entries[entries.len() - 1].id();
    for at in entries.len() as u64..ops {
        let role = if at % 2 == 0 { Role::ReadOnly } else { Role::Member };
        let set = MemberRoleSet { member, role, capabilities: None, keep: vec![], descendants: vec![] };
        let entry = sign(&owner, log, vec![parent], at, vec![Action::MemberRoleSet(set)])?;
        if !is_beside {
            parent = entry.id();
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// A group of admins that work side by side: each branch is one admin's, and all meet every 16 ops.
fn history(ops: u64, branches: usize, removals: bool) -> Result<Vec<Verified>, Box<dyn Error>> {
    let keys: Vec<SigningKey> = (0..=branches as u8).map(|seed| SigningKey::from_seed(&[seed + 1; 32])).collect();
    let created = GroupCreated {
        nonce: [0; 32],
        parent: None,
        sealing_key: SealingPublicKey::from_bytes([1; 32]),
        peer: PeerHint::default(),
    };
    let genesis = sign(&keys[0], LogId::default(), vec![], 0, vec![Action::GroupCreated(created)])?;
    let log = genesis.log();
    let mut entries = vec![genesis];
    for (at, key) in keys[1..].iter().enumerate() {
        let parents = vec![entries[at].id()];
        entries.push(sign(&keys[0], log, parents, at as u64 + 1, vec![add(key.public(), Role::Admin)])?);
    }
    let mut heads = vec![entries[entries.len() - 1].id(); branches];
    for at in entries.len() as u64..ops {
        let branch = at as usize % branches;
        let parents = if at % 16 < branches as u64 { heads.clone() } else { vec![heads[branch]] };
        let member = |at: u64| PublicKey::from_bytes(*blake3::hash(&at.to_le_bytes()).as_bytes());
        let action = match at % 4 {
            0 => Action::AliasSet(AliasSet { subject: Alias::Group, name: format!("group {at}") }),
            1 if removals && at > 1100 => {
                Action::MemberRemoved(MemberRemoved { member: member(at - 998), keep: vec![], descendants: vec![] })
            }
            _ => add(member(at), Role::Member),
        };
        let entry = sign(&keys[branch + 1], log, parents, at, vec![action])?;
        heads[branch] = entry.id();
        entries.push(entry);
    }
    Ok(entries)
}

fn add(member: PublicKey, role: Role) -> Action {
    Action::MemberAdded(MemberAdded {
        member,
        sealing_key: SealingPublicKey::from_bytes([2; 32]),
        role,
        capabilities: Capabilities::DEFAULT,
        peer: PeerHint::default(),
    })
}

fn sign(
    key: &SigningKey,
    log: LogId,
    mut parents: Vec<EntryId>,
    at: u64,
    actions: Vec<Action>,
) -> Result<Verified, Box<dyn Error>> {
    parents.sort();
    parents.dedup();
    let header = Header {
        kind: Kind::Governance,
        log,
        author: key.public(),
        incarnation: Incarnation(at),
        seq: 1,
        prev: None,
        parents,
        stamp: Stamp(at << 16),
    };
    Ok(Draft { header, body: Op::new(actions).encode()? }.sign(key)?)
}
