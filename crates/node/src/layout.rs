//! Keys of the store, byte by byte. Numbers in keys are big-endian, so that their order is the keys' order.
//!
//! | keyspace | key | value |
//! | --- | --- | --- |
//! | meta | `g` group | [`GroupRecord`](crate::record::GroupRecord) |
//! | meta | `k` group, key id | epoch key (32 bytes), and, if it is of a Restricted context, the context |
//! | meta | `s` group, key id, member | nothing: we sent the key to the member, beyond what ops carry |
//! | meta | `m` member key | [`CardRecord`](crate::record::CardRecord) |
//! | meta | `j` group | [`JoinRecord`](crate::record::JoinRecord) |
//! | meta | `c` context | [`ContextRecord`](crate::record::ContextRecord) |
//! | meta | `a` bundle | [`AppRecord`](crate::record::AppRecord) |
//! | meta | `p` peer id | [`PeerRecord`](crate::record::PeerRecord) |
//! | log | log `f` | the frontier of the log's graph |
//! | log | log `e` entry id | the entry |
//! | log | log `p` entry id | its placement |
//! | log | log `a` arrival (8) | entry id |
//! | log | log `c` chain (4), seq (8) | arrival (8), entry id |
//! | log | log `g` chain (4), seq (8) | governance heads that the author names from here on in the chain |
//! | log | log `v` chain (4), seq (8) | the last `seq` (8) of a run of void deltas that begins here |
//! | log | log `w` entry id | an entry that waits for others |
//! | log | log `q` entry id | proof of an equivocation, under the second entry's id |
//! | state | context `l` leaf key | leaf |
//! | state | context `n` collection id | number of its leaves |
//! | tree | context path | node of the state tree |
//! | private | context key | what the app keeps on this node alone |

use mesto_governance::{BlobId, ContextId, GroupId, KeyId};
use mesto_oplog::{EntryId, LogId, PublicKey};

/// Prefix of the groups that the node is part of.
pub const GROUPS: &[u8] = b"g";
/// Prefix of the joins that wait for somebody.
pub const JOINS: &[u8] = b"j";
/// Prefix of the contexts that the node joined.
pub const CONTEXTS: &[u8] = b"c";
/// Prefix of the installed bundles.
pub const APPS: &[u8] = b"a";
/// Prefix of the cards that were handed out.
pub const CARDS: &[u8] = b"m";
/// Prefix of the peers of members.
pub const PEERS: &[u8] = b"p";

fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Key of a group's record.
#[must_use]
pub fn group(group: &GroupId) -> Vec<u8> {
    key(&[GROUPS, group.as_bytes()])
}

/// Prefix of a group's epoch keys.
#[must_use]
pub fn epoch_keys(group: &GroupId) -> Vec<u8> {
    key(&[b"k", group.as_bytes()])
}

/// Key of an epoch key.
#[must_use]
pub fn epoch_key(group: &GroupId, id: &KeyId) -> Vec<u8> {
    key(&[b"k", group.as_bytes(), id.as_bytes()])
}

/// Prefix of the keys that we sent to members of a group.
#[must_use]
pub fn shared_keys(group: &GroupId) -> Vec<u8> {
    key(&[b"s", group.as_bytes()])
}

/// Key of a key that we sent to a member.
#[must_use]
pub fn shared_key(group: &GroupId, id: &KeyId, member: &PublicKey) -> Vec<u8> {
    key(&[b"s", group.as_bytes(), id.as_bytes(), member.as_bytes()])
}

/// Key of a card.
#[must_use]
pub fn card(member: &PublicKey) -> Vec<u8> {
    key(&[CARDS, member.as_bytes()])
}

/// Key of a pending join.
#[must_use]
pub fn join(group: &GroupId) -> Vec<u8> {
    key(&[JOINS, group.as_bytes()])
}

/// Key of a context's record.
#[must_use]
pub fn context(context: &ContextId) -> Vec<u8> {
    key(&[CONTEXTS, context.as_bytes()])
}

/// Key of an installed bundle.
#[must_use]
pub fn app(bundle: &BlobId) -> Vec<u8> {
    key(&[APPS, bundle.as_bytes()])
}

/// Key of a member's peer.
#[must_use]
pub fn peer(peer: &[u8]) -> Vec<u8> {
    key(&[PEERS, peer])
}

/// Key of a log's frontier.
#[must_use]
pub fn frontier(log: &LogId) -> Vec<u8> {
    key(&[log.as_bytes(), b"f"])
}

/// Key of an entry.
#[must_use]
pub fn entry(log: &LogId, id: &EntryId) -> Vec<u8> {
    key(&[log.as_bytes(), b"e", id.as_bytes()])
}

/// Key of an entry's placement.
#[must_use]
pub fn placement(log: &LogId, id: &EntryId) -> Vec<u8> {
    key(&[log.as_bytes(), b"p", id.as_bytes()])
}

/// Prefix of a log's order of arrival.
#[must_use]
pub fn arrivals(log: &LogId) -> Vec<u8> {
    key(&[log.as_bytes(), b"a"])
}

/// Key of a place in the order of arrival.
#[must_use]
pub fn arrival(log: &LogId, arrival: u64) -> Vec<u8> {
    key(&[log.as_bytes(), b"a", &arrival.to_be_bytes()])
}

/// Prefix of a chain.
#[must_use]
pub fn chain(log: &LogId, chain: u32) -> Vec<u8> {
    key(&[log.as_bytes(), b"c", &chain.to_be_bytes()])
}

/// Key of a place in a chain.
#[must_use]
pub fn chain_place(log: &LogId, chain: u32, seq: u64) -> Vec<u8> {
    key(&[log.as_bytes(), b"c", &chain.to_be_bytes(), &seq.to_be_bytes()])
}

/// Prefix of what authors knew of governance.
#[must_use]
pub fn knowledge_all(log: &LogId) -> Vec<u8> {
    key(&[log.as_bytes(), b"g"])
}

/// Key of what an author knew of governance from a place in its chain on.
#[must_use]
pub fn knowledge(log: &LogId, chain: u32, seq: u64) -> Vec<u8> {
    key(&[log.as_bytes(), b"g", &chain.to_be_bytes(), &seq.to_be_bytes()])
}

/// Prefix of the runs of void deltas.
#[must_use]
pub fn void_all(log: &LogId) -> Vec<u8> {
    key(&[log.as_bytes(), b"v"])
}

/// Key of a run of void deltas.
#[must_use]
pub fn void(log: &LogId, chain: u32, seq: u64) -> Vec<u8> {
    key(&[log.as_bytes(), b"v", &chain.to_be_bytes(), &seq.to_be_bytes()])
}

/// Prefix of the entries that wait.
#[must_use]
pub fn waiting_all(log: &LogId) -> Vec<u8> {
    key(&[log.as_bytes(), b"w"])
}

/// Key of an entry that waits.
#[must_use]
pub fn waiting(log: &LogId, id: &EntryId) -> Vec<u8> {
    key(&[log.as_bytes(), b"w", id.as_bytes()])
}

/// Key of an equivocation's proof.
#[must_use]
pub fn equivocation(log: &LogId, id: &EntryId) -> Vec<u8> {
    key(&[log.as_bytes(), b"q", id.as_bytes()])
}

/// Prefix of a context's leaves.
#[must_use]
pub fn leaves(context: &ContextId) -> Vec<u8> {
    key(&[context.as_bytes(), b"l"])
}

/// Prefix of a context's counts.
#[must_use]
pub fn counts(context: &ContextId) -> Vec<u8> {
    key(&[context.as_bytes(), b"n"])
}

/// Prefix of a context's tree.
#[must_use]
pub fn tree(context: &ContextId) -> Vec<u8> {
    context.as_bytes().to_vec()
}

/// Prefix of what a context's app keeps on this node alone.
#[must_use]
pub fn private(context: &ContextId) -> Vec<u8> {
    context.as_bytes().to_vec()
}
