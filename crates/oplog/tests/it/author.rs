//! Authoring on top of a log.

use mesto_oplog::dag::AuthorError;
use mesto_oplog::memory::{MemoryLog, Offered};
use mesto_oplog::{Dag, Draft, Incarnation, Kind, Next, SigningKey, Verified};

use crate::world;

const LIFE: Incarnation = Incarnation(1);

fn empty() -> MemoryLog {
    MemoryLog::new(world::log(), Kind::Delta)
}

/// A log with `count` heads, each by an author of its own.
fn with_heads(count: u8) -> MemoryLog {
    let mut merged = empty();
    for n in 0..count {
        let entry = empty().author(&SigningKey::from_seed(&[n; 32]), LIFE, 1, &[n]);
        merged.offer(&entry).expect("fits");
    }
    merged
}

#[test]
fn an_entry_is_on_top_of_all_heads_after_the_authors_last_and_later_than_all() {
    let mut log = with_heads(3);
    let heads: Vec<_> = log.dag.heads().collect();
    let key = SigningKey::from_seed(&[0; 32]);
    let entry = log.author(&key, LIFE, 0, b"next");
    assert_eq!(entry.header().parents, heads);
    assert_eq!(entry.header().seq, 2);
    assert_eq!(entry.header().stamp.0, (1 << 16) + 1, "our clock is behind");
    assert_eq!(log.dag.heads().collect::<Vec<_>>(), [entry.id()]);
    let next = log.author(&key, LIFE, 7, b"and next");
    assert_eq!(next.header().prev, Some(entry.id()));
    assert_eq!(next.header().stamp.millis(), 7);
}

#[test]
fn too_many_heads_are_merged_first_and_the_author_keeps_its_chain() {
    for author in [0, 40, 99, 200] {
        let mut log = with_heads(100);
        let key = SigningKey::from_seed(&[author; 32]);
        let before = log.dag.count();
        let entry = log.author(&key, LIFE, 5, b"on top of 100");
        assert!(log.dag.count() - before <= 4, "each merge takes 32 heads, itself one of the next");
        assert_eq!(log.dag.heads().collect::<Vec<_>>(), [entry.id()]);
        assert_eq!(log.dag.chains_of(key.public(), LIFE).count(), 1);
    }
}

#[test]
fn an_author_with_branches_must_go_on_in_a_new_life() {
    let key = SigningKey::from_seed(&[1; 32]);
    let mut log = empty();
    let mut twin = empty();
    log.author(&key, LIFE, 1, b"here");
    log.offer(&twin.author(&key, LIFE, 1, b"there")).expect("both are kept");
    let next = log.dag.next_header(&log.store, key.public(), LIFE, 2);
    assert_eq!(next, Err(AuthorError::Branched(2)));
    assert_eq!(log.author(&key, Incarnation(2), 2, b"anew").header().seq, 1);
}

#[test]
fn a_governance_log_begins_with_its_genesis() {
    let key = SigningKey::from_seed(&[1; 32]);
    let log = MemoryLog::new(world::log(), Kind::Governance);
    let next = log.dag.next_header(&log.store, key.public(), LIFE, 2);
    assert_eq!(next, Err(AuthorError::NoGenesis));
    let genesis = genesis(&key);
    let mut log = MemoryLog::new(genesis.log(), Kind::Governance);
    assert!(matches!(log.offer(&genesis), Ok(Offered::Inserted(_))));
    let second = log.author(&key, LIFE, 3, b"second");
    assert_eq!((second.header().seq, second.header().prev), (2, Some(genesis.id())));
}

#[test]
fn the_clock_of_a_log_ends_before_the_reserved_range() {
    let log = empty();
    let at_the_end = (1 << 48) - (1 << 40);
    let author = SigningKey::from_seed(&[1; 32]).public();
    let header = |now_ms| log.dag.next_header(&log.store, author, LIFE, now_ms);
    assert!(matches!(header(at_the_end - 1), Ok(Next::Entry(_))));
    assert_eq!(header(at_the_end), Err(AuthorError::NoStampLeft));
}

#[test]
fn authoring_after_a_restart_goes_on_where_it_stopped() {
    let mut log = with_heads(50);
    let key = SigningKey::from_seed(&[3; 32]);
    log.author(&key, LIFE, 5, b"before");
    log.dag = Dag::restore(&log.dag.encode()).expect("what was encoded");
    assert_eq!(log.author(&key, LIFE, 5, b"after").header().stamp.millis(), 5);
    assert_eq!(log.dag.heads().len(), 1);
}

pub(crate) fn genesis(key: &SigningKey) -> Verified {
    let header = mesto_oplog::Header {
        kind: Kind::Governance,
        log: mesto_oplog::LogId::default(),
        author: key.public(),
        incarnation: LIFE,
        seq: 1,
        prev: None,
        parents: Vec::new(),
        stamp: mesto_oplog::Stamp(1),
    };
    Draft { header, body: b"genesis".to_vec() }.sign(key).expect("a valid draft")
}
