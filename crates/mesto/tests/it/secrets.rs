//! What lies in a home, read by somebody who has all of it: keys open what their owner might read, and nothing of what
//! came after its removal, nor of what it was never let into.

use std::collections::BTreeMap;

use mesto::disk::DiskStore;
use mesto_governance::keys::EpochKey;
use mesto_governance::{ContextId, KeyId};
use mesto_node::delta::DeltaBody;
use mesto_node::layout;
use mesto_node::store::{Keyspace, Store as _};
use mesto_oplog::entry::{Kind, Signed};
use mesto_oplog::{EntryId, Verified};

use crate::network::{Shared, begin, equal, join, me, set};
use crate::node::{ARRIVES_WITHIN, Home, Stage, eventually, text};

/// The keys and the deltas of a home, whose node is stopped.
struct Found {
    keys: BTreeMap<KeyId, EpochKey>,
    deltas: Vec<Verified>,
}

impl Found {
    fn in_home(home: &Home) -> Self {
        let store = DiskStore::open(&home.folder().join("store")).expect("the store opens");
        let snapshot = store.snapshot();
        // Whatever reads as a key may be one: of which, its hash tells.
        let values = snapshot.scan(Keyspace::Meta, &[], None, usize::MAX).into_iter().map(|(_, value)| value);
        let keys = values.filter_map(|value| Some(layout::read_epoch_key(&value)?.0));
        let entries = snapshot.scan(Keyspace::Entry, &[], None, usize::MAX).into_iter();
        let entries = entries.filter_map(|(_, value)| Some(Signed::decode(&value).ok()?.trust_own_store()));
        Self {
            keys: keys.map(|key| (key.id(), key)).collect(),
            deltas: entries.filter(|entry| entry.header().kind == Kind::Delta).collect(),
        }
    }

    /// The deltas of a context that some of `keys` opens, and those that none opens.
    fn opened_by(&self, context: &str, keys: &BTreeMap<KeyId, EpochKey>) -> (Vec<EntryId>, Vec<EntryId>) {
        let context: ContextId = context.parse().expect("an id");
        let of_context = self.deltas.iter().filter(|delta| delta.log() == context.log());
        let (open, closed): (Vec<&Verified>, Vec<&Verified>) = of_context.partition(|delta| {
            let body = DeltaBody::decode(delta.body()).expect("a delta");
            // Not only under the key that it names: whatever opens it, opens it.
            keys.values().any(|key| body.open(delta.header(), key).is_ok())
        });
        let ids = |deltas: Vec<&Verified>| deltas.iter().map(|delta| delta.id()).collect();
        (ids(open), ids(closed))
    }
}

fn delta(answer: &serde_json::Value) -> EntryId {
    text(answer, "deltaId").parse().expect("an id")
}

#[test]
fn the_home_of_a_removed_member_opens_nothing_that_was_written_since() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    let Shared { group, context } = &shared;
    let secret = text(&anna.cli(&["context", "create", group, "--name", "secret", "--restricted"]).ok(), "contextId");
    let before = [delta(&set(&anna, context, "tea", "green"))];
    equal(&[&anna, &boris, &clara], context, 2);
    let hidden = delta(&set(&anna, &secret, "plan", "b"));
    let of_boris = me(&boris, group);
    anna.cli(&["member", "rm", group, &of_boris]).ok();
    let after = [delta(&set(&anna, context, "tea", "black")), delta(&set(&anna, context, "milk", "none"))];
    equal(&[&anna, &clara], context, 4);
    let by_clara = delta(&set(&clara, context, "coffee", "none"));
    equal(&[&anna, &clara], context, 5);
    eventually("boris knows", ARRIVES_WITHIN, || {
        let rows = boris.cli(&["member", "ls", group]).ok();
        rows.as_array()?.iter().all(|row| row["memberId"] != of_boris.as_str()).then_some(())
    });

    let ((anna, _), (boris, _)) = (anna.stop(), boris.stop());
    let (all, his) = (Found::in_home(&anna), Found::in_home(&boris));
    let (open, closed) = all.opened_by(context, &all.keys);
    assert_eq!((open.len(), closed.len()), (5, 0), "whoever stayed reads all");
    // What went over the wire is what lies in anna's home: his keys on it are what he could do with a capture.
    let (open, closed) = all.opened_by(context, &his.keys);
    assert!(before.iter().all(|delta| open.contains(delta)), "he keeps what he might read");
    assert!(after.iter().chain([&by_clara]).all(|delta| closed.contains(delta)), "{open:?}");
    let (open, closed) = all.opened_by(&secret, &his.keys);
    assert_eq!(open, []);
    assert!(closed.contains(&hidden), "he was never let into it");
    let (open, _) = his.opened_by(context, &his.keys);
    assert!(after.iter().all(|delta| !open.contains(delta)));
}
