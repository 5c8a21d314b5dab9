//! Keys of the store, byte by byte. Numbers in keys are big-endian, so that their order is the keys' order.
//!
//! Whatever is kept for each entry of a log or for each leaf of a state begins with the log's [`LogNumber`] and not
//! with its id: a key of up to 20 bytes costs the engine no allocation, and no comparison has to pass over 32 equal
//! bytes. Entries are kept in the order in which they came, so that they are written once and hardly ever moved.
//!
//! | keyspace | key | value |
//! | --- | --- | --- |
//! | meta | `g` group | [`GroupRecord`](crate::record::GroupRecord) |
//! | meta | `k` group, key id | nonce of the key's domain (32 bytes), epoch key (32), and, if it is of a Restricted context, the context |
//! | meta | `s` group, key id, member | nothing: we sent the key to the member, beyond what ops carry |
//! | meta | `m` member key | [`CardRecord`](crate::record::CardRecord) |
//! | meta | `j` group | [`JoinRecord`](crate::record::JoinRecord) |
//! | meta | `c` context | [`ContextRecord`](crate::record::ContextRecord) |
//! | meta | `o` context | the same, of a context that we left, until somebody else has what is here of it |
//! | meta | `a` bundle | [`AppRecord`](crate::record::AppRecord) |
//! | meta | `p` peer id | [`PeerRecord`](crate::record::PeerRecord) |
//! | meta | `l` log id | the log's number (4) |
//! | meta | `v` | version of these layouts (1 byte) |
//! | log | log `f` | the frontier of the log's graph |
//! | log | log `p` entry id | its placement, and in it its arrival |
//! | log | log `a` arrival (8) | entry id |
//! | log | log `c` chain (4), seq (8) | arrival (8), entry id |
//! | log | log `g` chain (4), seq (8) | governance heads that the author names from here on in the chain |
//! | log | log `v` chain (4), seq (8) | the last `seq` (8) of a run of void deltas that begins here |
//! | log | log `w` entry id | an entry that waits for others |
//! | log | log `q` entry id | proof of an equivocation, under the second entry's id |
//! | state | log `l` leaf key | leaf |
//! | state | log `n` collection id | number of its leaves |
//! | tree | log path | record of a node of the state tree |
//! | entry | log arrival (8) | the entry |
//! | private | log key | what the app keeps on this node alone |
//!
//! "log" is the number (4); a context has that of its log.

use mesto_governance::{BlobId, ContextId, EpochKey, GroupId, KeyId};
use mesto_oplog::{EntryId, LogId, PublicKey};

/// The version of the layouts of the store that this build reads and writes.
pub const VERSION: u8 = 3;
/// Key of the version.
pub const VERSION_KEY: &[u8] = b"v";
/// Prefix of the numbers of logs.
pub const NUMBERS: &[u8] = b"l";
/// Prefix of the groups that the node is part of.
pub const GROUPS: &[u8] = b"g";
/// Prefix of the joins that wait for somebody.
pub const JOINS: &[u8] = b"j";
/// Prefix of the contexts that the node joined.
pub const CONTEXTS: &[u8] = b"c";
/// Prefix of the contexts that the node left and still serves.
pub const LEFT: &[u8] = b"o";
/// Prefix of the installed bundles.
pub const APPS: &[u8] = b"a";
/// Prefix of the cards that were handed out.
pub const CARDS: &[u8] = b"m";
/// Prefix of the peers of members.
pub const PEERS: &[u8] = b"p";

/// The number of a log on this node. It is given when the log's machine is made and kept for good, also when a context
/// is left: whoever joins again goes on from what is here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LogNumber(pub u32);

impl LogNumber {
    /// Of no log: under it the store has nothing.
    pub const NONE: Self = Self(0);

    /// As keys begin and as the store keeps it.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Reads what [`LogNumber::bytes`] wrote.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u32::from_be_bytes(bytes)))
    }
}

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

/// Value of an epoch key; `context` is the Restricted context that it protects, if it is not the group's.
#[must_use]
pub fn epoch_key_value(of: &EpochKey, context: Option<&ContextId>) -> Vec<u8> {
    let context = context.map_or(&[][..], |context| context.as_bytes());
    key(&[of.domain(), of.expose(), context])
}

/// Reads what [`epoch_key_value`] wrote.
#[must_use]
pub fn read_epoch_key(bytes: &[u8]) -> Option<(EpochKey, Option<ContextId>)> {
    let (domain, rest) = bytes.split_first_chunk::<32>()?;
    let (secret, context) = rest.split_first_chunk::<32>()?;
    let context = match context {
        [] => None,
        context => Some(ContextId::from_bytes(context.try_into().ok()?)),
    };
    Some((EpochKey::new(*domain, *secret), context))
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

/// Key of the record of a context that was left.
#[must_use]
pub fn left(context: &ContextId) -> Vec<u8> {
    key(&[LEFT, context.as_bytes()])
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

/// Key of a log's number.
#[must_use]
pub fn number(log: &LogId) -> Vec<u8> {
    key(&[NUMBERS, log.as_bytes()])
}

/// Key of a log's frontier.
#[must_use]
pub fn frontier(log: LogNumber) -> Vec<u8> {
    key(&[&log.bytes(), b"f"])
}

/// Key of an entry, by its place in the order of arrival.
#[must_use]
pub fn entry(log: LogNumber, arrival: u64) -> Vec<u8> {
    key(&[&log.bytes(), &arrival.to_be_bytes()])
}

/// Key of an entry's placement.
#[must_use]
pub fn placement(log: LogNumber, id: &EntryId) -> Vec<u8> {
    key(&[&log.bytes(), b"p", id.as_bytes()])
}

/// Prefix of a log's order of arrival.
#[must_use]
pub fn arrivals(log: LogNumber) -> Vec<u8> {
    key(&[&log.bytes(), b"a"])
}

/// Key of a place in the order of arrival.
#[must_use]
pub fn arrival(log: LogNumber, arrival: u64) -> Vec<u8> {
    key(&[&log.bytes(), b"a", &arrival.to_be_bytes()])
}

/// Prefix of a chain.
#[must_use]
pub fn chain(log: LogNumber, chain: u32) -> Vec<u8> {
    key(&[&log.bytes(), b"c", &chain.to_be_bytes()])
}

/// Key of a place in a chain.
#[must_use]
pub fn chain_place(log: LogNumber, chain: u32, seq: u64) -> Vec<u8> {
    key(&[&log.bytes(), b"c", &chain.to_be_bytes(), &seq.to_be_bytes()])
}

/// Prefix of what authors knew of governance.
#[must_use]
pub fn knowledge_all(log: LogNumber) -> Vec<u8> {
    key(&[&log.bytes(), b"g"])
}

/// Key of what an author knew of governance from a place in its chain on.
#[must_use]
pub fn knowledge(log: LogNumber, chain: u32, seq: u64) -> Vec<u8> {
    key(&[&log.bytes(), b"g", &chain.to_be_bytes(), &seq.to_be_bytes()])
}

/// Prefix of the runs of void deltas.
#[must_use]
pub fn void_all(log: LogNumber) -> Vec<u8> {
    key(&[&log.bytes(), b"v"])
}

/// Key of a run of void deltas.
#[must_use]
pub fn void(log: LogNumber, chain: u32, seq: u64) -> Vec<u8> {
    key(&[&log.bytes(), b"v", &chain.to_be_bytes(), &seq.to_be_bytes()])
}

/// Prefix of the entries that wait.
#[must_use]
pub fn waiting_all(log: LogNumber) -> Vec<u8> {
    key(&[&log.bytes(), b"w"])
}

/// Key of an entry that waits.
#[must_use]
pub fn waiting(log: LogNumber, id: &EntryId) -> Vec<u8> {
    key(&[&log.bytes(), b"w", id.as_bytes()])
}

/// Key of an equivocation's proof.
#[must_use]
pub fn equivocation(log: LogNumber, id: &EntryId) -> Vec<u8> {
    key(&[&log.bytes(), b"q", id.as_bytes()])
}

/// Key of a leaf of a state, or the beginning of some.
#[must_use]
pub fn leaf(log: LogNumber, leaf: &[u8]) -> Vec<u8> {
    key(&[&log.bytes(), b"l", leaf])
}

/// Key of a collection's count.
#[must_use]
pub fn count(log: LogNumber, collection: &[u8]) -> Vec<u8> {
    key(&[&log.bytes(), b"n", collection])
}

/// Key of a node of a state's tree.
#[must_use]
pub fn node(log: LogNumber, path: &[u8]) -> Vec<u8> {
    key(&[&log.bytes(), path])
}

/// Key of what a context's app keeps on this node alone.
#[must_use]
pub fn private(log: LogNumber, of_app: &[u8]) -> Vec<u8> {
    key(&[&log.bytes(), of_app])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_log_are_frozen_and_those_in_order_of_arrival_are_short() {
        let log = LogNumber(0x0102_0304);
        let id = EntryId::from_bytes([0xee; 32]);
        let hex = |key: Vec<u8>| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let ee = "ee".repeat(32);
        for (key, expected) in [
            (number(&LogId::from_bytes([0xee; 32])), format!("6c{ee}")),
            (frontier(log), "0102030466".to_owned()),
            (entry(log, 7), "010203040000000000000007".to_owned()),
            (placement(log, &id), format!("0102030470{ee}")),
            (arrival(log, 7), "01020304610000000000000007".to_owned()),
            (chain_place(log, 5, 7), "0102030463000000050000000000000007".to_owned()),
            (knowledge(log, 5, 7), "0102030467000000050000000000000007".to_owned()),
            (void(log, 5, 7), "0102030476000000050000000000000007".to_owned()),
            (waiting(log, &id), format!("0102030477{ee}")),
            (equivocation(log, &id), format!("0102030471{ee}")),
            (leaf(log, b"k"), "010203046c6b".to_owned()),
            (count(log, b"k"), "010203046e6b".to_owned()),
            (node(log, &[0xff]), "01020304ff".to_owned()),
            (private(log, b"k"), "010203046b".to_owned()),
        ] {
            assert_eq!(hex(key), expected);
        }
        assert!([entry(log, 7), arrival(log, 7), chain_place(log, 5, 7)].iter().all(|key| key.len() <= 20));
    }
}
