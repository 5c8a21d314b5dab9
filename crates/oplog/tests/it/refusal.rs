//! Entries that no log takes, whatever else arrives, and entries that only come too early.

use mesto_oplog::dag::Stale;
use mesto_oplog::memory::{MemoryLog, Offered};
use mesto_oplog::{Admission, Draft, EntryId, Header, Incarnation, Kind, LogId, Refusal, SigningKey, Stamp, Verified};

use crate::{author, world};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn entry(seed: u8, change: impl FnOnce(&mut Header)) -> Verified {
    let mut header = Header {
        kind: Kind::Delta,
        log: world::log(),
        author: key(seed).public(),
        incarnation: Incarnation(0),
        seq: 1,
        prev: None,
        parents: Vec::new(),
        stamp: Stamp(1),
    };
    change(&mut header);
    header.parents.sort();
    Draft { header, body: Vec::new() }.sign(&key(seed)).expect("well formed")
}

/// After `prev`, on top of `parents`.
fn after(prev: &Verified, parents: &[&Verified], change: impl FnOnce(&mut Header)) -> impl FnOnce(&mut Header) {
    move |header| {
        header.seq = prev.header().seq + 1;
        header.prev = Some(prev.id());
        header.parents = parents.iter().map(|parent| parent.id()).collect();
        header.stamp = Stamp(parents.iter().map(|parent| parent.header().stamp.0).max().unwrap_or(0) + 1);
        change(header);
    }
}

struct Setting {
    log: MemoryLog,
    first: Verified,
    second: Verified,
    foreign: Verified,
}

/// Two entries of one author, and a concurrent one of another.
fn setting() -> Setting {
    let first = entry(1, |_| ());
    let second = entry(1, after(&first, &[&first], |_| ()));
    let foreign = entry(2, |_| ());
    let mut log = MemoryLog::new(world::log(), Kind::Delta);
    for entry in [&first, &second, &foreign] {
        assert!(matches!(log.offer(entry), Ok(Offered::Inserted(_))));
    }
    Setting { log, first, second, foreign }
}

fn refused(entry: &Verified) -> Refusal {
    let mut setting = setting();
    let before = setting.log.clone();
    let refusal = setting.log.offer(entry).expect_err("refused");
    assert_eq!(setting.log, before, "a refusal changes nothing");
    refusal
}

#[test]
fn an_entry_of_another_log_or_kind_is_refused() {
    let elsewhere = LogId::from_bytes([8; 32]);
    let refusal = refused(&entry(1, |header| header.log = elsewhere));
    assert_eq!(refusal, Refusal::WrongLog { found: elsewhere, expected: world::log() });
    let refusal = refused(&entry(1, |header| header.kind = Kind::Governance));
    assert_eq!(refusal, Refusal::WrongKind { found: Kind::Governance, expected: Kind::Delta });
}

#[test]
fn a_governance_entry_that_does_not_descend_from_the_genesis_is_refused() {
    let genesis = author::genesis(&key(1));
    let mut log = MemoryLog::new(genesis.log(), Kind::Governance);
    let rootless = entry(2, |header| {
        header.kind = Kind::Governance;
        header.log = genesis.log();
    });
    assert_eq!(log.offer(&rootless), Err(Refusal::Rootless));
    let other = author::genesis(&key(2));
    let wrong_log = Refusal::WrongLog { found: other.log(), expected: genesis.log() };
    assert_eq!(log.offer(&other), Err(wrong_log));
}

#[test]
fn a_stamp_that_is_not_after_the_parents_is_refused() {
    let Setting { second, .. } = setting();
    let late = entry(1, after(&second, &[&second], |header| header.stamp = Stamp(2)));
    assert_eq!(refused(&late), Refusal::StampNotAfterParents { stamp: Stamp(2), parents: Stamp(2) });
}

#[test]
fn a_prev_that_is_not_in_the_past_is_refused_even_if_it_is_held() {
    let Setting { second, foreign, .. } = setting();
    let concurrent = entry(1, after(&second, &[&foreign], |_| ()));
    assert_eq!(refused(&concurrent), Refusal::PrevNotInPast(second.id()));
    let unknown = EntryId::from_bytes([7; 32]);
    let unheld = entry(1, after(&second, &[&second], |header| header.prev = Some(unknown)));
    assert_eq!(refused(&unheld), Refusal::PrevNotInPast(unknown));
}

#[test]
fn a_prev_of_another_author_or_life_is_refused() {
    let Setting { second, foreign, .. } = setting();
    let anothers = entry(2, after(&second, &[&second, &foreign], |_| ()));
    assert_eq!(refused(&anothers), Refusal::PrevIsAnotherAuthors(second.id()));
    let other_life = entry(1, after(&second, &[&second], |header| header.incarnation = Incarnation(5)));
    assert_eq!(refused(&other_life), Refusal::PrevIsAnotherAuthors(second.id()));
}

#[test]
fn a_seq_that_does_not_follow_is_refused() {
    let Setting { second, .. } = setting();
    let skipping = entry(1, after(&second, &[&second], |header| header.seq = 4));
    assert_eq!(refused(&skipping), Refusal::SeqNotAfterPrev { seq: 4, prev: 2 });
    let endless = entry(1, after(&second, &[&second], |header| header.seq = u64::MAX));
    assert_eq!(refused(&endless), Refusal::SeqNotAfterPrev { seq: u64::MAX, prev: 2 });
}

#[test]
fn missing_parents_are_named_all_of_them_and_nothing_else() {
    let Setting { mut log, first, second, .. } = setting();
    let (one, two) = (EntryId::from_bytes([1; 32]), EntryId::from_bytes([2; 32]));
    let early = entry(1, after(&second, &[&second], |header| header.parents.extend([two, one])));
    assert_eq!(log.offer(&early), Ok(Offered::Missing(vec![one, two])));
    assert_eq!(log.offer(&first), Ok(Offered::Duplicate));
}

#[test]
fn what_was_checked_against_an_older_log_is_not_inserted() {
    let Setting { mut log, second, foreign, .. } = setting();
    let (one, two) = (entry(1, after(&second, &[&second], |_| ())), entry(2, after(&foreign, &[&foreign], |_| ())));
    let ready = |entry: &Verified| match log.dag.check(&log.store, entry) {
        Ok(Admission::Ready(ready)) => *ready,
        other => panic!("{other:?}"),
    };
    let (first, again, other) = (ready(&one), ready(&one), ready(&two));
    let inserted = log.dag.insert(first).expect("nothing came between");
    log.store.write(&one, &inserted);
    assert_eq!(log.dag.insert(again), Err(Stale));
    assert_eq!(log.dag.insert(other), Err(Stale));
    assert!(matches!(log.offer(&two), Ok(Offered::Inserted(_))));
}
