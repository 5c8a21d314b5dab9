//! What the app promises, as its users would check it.

use mesto_app_editor::{Change, Edited, Editor, Error, Reading};
use mesto_sdk::native::{CallError, NativeApp};
use mesto_sdk::testing::Replicas;
use serde_json::{Value, json};

fn editor(replicas: usize) -> Replicas<Editor> {
    Replicas::new(replicas)
}

fn insert(group: &mut Replicas<Editor>, replica: usize, at: u64, text: &str) {
    group.attempt(replica, |editor| editor.insert(at, text.into())).expect("within the text");
}

fn delete(group: &mut Replicas<Editor>, replica: usize, at: u64, len: u64) {
    group.attempt(replica, |editor| editor.delete(at, len)).expect("within the text");
}

fn text(group: &mut Replicas<Editor>, replica: usize) -> String {
    group.view(replica, |editor| editor.text())
}

fn read(group: &mut Replicas<Editor>, since: Option<String>) -> Reading {
    group.view(0, |editor| editor.read(since))
}

fn change(from: u64, to: u64, insert: &str) -> Change {
    Change { from, to, insert: insert.into() }
}

fn edit(group: &mut Replicas<Editor>, number: u64, base: &str, changes: &[Change]) -> Result<Edited, Error> {
    group.attempt(0, |editor| editor.edit("page".into(), number, base.into(), changes.to_vec()))
}

#[test]
fn the_schema_is_the_one_that_clients_were_written_for() {
    let schema: Value = serde_json::from_str(&NativeApp::new::<Editor>().schema_json()).expect("JSON");
    let golden: Value = serde_json::from_str(include_str!("golden/schema.json")).expect("JSON");
    assert_eq!(schema, golden);
}

#[test]
fn what_is_typed_can_be_read() {
    let mut group = editor(1);
    assert_eq!(text(&mut group, 0), "");
    insert(&mut group, 0, 0, "Hello 😀!\nSecond\n");
    insert(&mut group, 0, 5, ",");
    delete(&mut group, 0, 7, 1);
    assert_eq!(text(&mut group, 0), "Hello, !\nSecond\n");
    assert_eq!(group.view(0, |editor| editor.len()), 16);
    assert_eq!(group.view(0, |editor| editor.line(1)).as_deref(), Some("Second"));
    assert_eq!(group.view(0, |editor| editor.line(2)).as_deref(), Some(""));
    assert_eq!(group.view(0, |editor| editor.line(3)), None);
}

#[test]
fn places_beyond_the_end_are_errors_that_clients_can_read() {
    let mut group = editor(1);
    insert(&mut group, 0, 0, "abc");
    let refused = group.call(0, "insert", &json!({"at": 4, "text": "x"}));
    let Err(CallError::App { message, data }) = refused else { panic!("{refused:?}") };
    assert_eq!(message, "place 4 is beyond the end of the text, 3");
    let data: Value = serde_json::from_slice(&data).expect("JSON");
    assert_eq!(data, json!({"kind": "OutOfRange", "data": {"at": 4, "len": 3}}));
    let refused = group.attempt(0, |editor| editor.delete(u64::MAX, u64::MAX));
    assert_eq!(refused, Err(Error::OutOfRange { at: u64::MAX, len: 3 }));
    assert_eq!(text(&mut group, 0), "abc");
}

#[test]
fn the_title_is_one_line() {
    let mut group = editor(2);
    assert_eq!(group.view(0, |editor| editor.title()), "");
    group.attempt(0, |editor| editor.set_title("Minutes".into())).expect("a title");
    assert_eq!(group.attempt(0, |editor| editor.set_title("a\nb".into())), Err(Error::BadTitle));
    assert_eq!(group.attempt(0, |editor| editor.set_title("x".repeat(201))), Err(Error::BadTitle));
    group.deliver_all();
    assert_eq!(group.view(1, |editor| editor.title()), "Minutes");
}

#[test]
fn two_who_type_at_one_place_keep_their_words() {
    for seed in 0..20 {
        let mut group = editor(2);
        insert(&mut group, 0, 0, "[]");
        group.deliver_all();
        for at in 0..5 {
            insert(&mut group, 0, 1 + at, "a");
            // Backwards: every letter before the one that was typed last.
            insert(&mut group, 1, 1, "b");
        }
        group.deliver_shuffled(seed);
        group.assert_equal();
        let both = text(&mut group, 0);
        assert!(both == "[aaaaabbbbb]" || both == "[bbbbbaaaaa]", "{both}");
    }
}

#[test]
fn whoever_was_cut_off_finds_everything_that_was_typed() {
    let mut group = editor(3);
    insert(&mut group, 0, 0, "one two three");
    group.deliver_all();
    group.partition(&[&[0, 1], &[2]]);
    delete(&mut group, 0, 4, 4);
    insert(&mut group, 1, 0, "zero ");
    insert(&mut group, 2, 13, " four");
    insert(&mut group, 2, 6, "X");
    group.deliver_all();
    group.heal();
    group.deliver_all();
    group.assert_equal();
    assert_eq!(text(&mut group, 2), "zero one Xthree four");
}

#[test]
fn an_edit_counts_once_and_only_on_the_text_that_it_was_made_for() {
    let mut group = editor(2);
    let base = read(&mut group, None).version;
    let first = edit(&mut group, 1, &base, &[change(0, 0, "a😀b😀c")]).expect("in order");
    assert!(first.applied && !first.known);
    assert_eq!(read(&mut group, None).version, first.version, "the answer names the version that readers find");
    let again = edit(&mut group, 1, &base, &[change(0, 0, "a😀b😀c")]).expect("in order");
    assert_eq!(again, Edited { applied: true, known: true, version: first.version.clone() });
    assert_eq!(text(&mut group, 0), "a😀b😀c");
    group.deliver_all();
    insert(&mut group, 1, 0, ">");
    group.deliver_all();
    let late = edit(&mut group, 2, &first.version, &[change(1, 3, "")]).expect("in order");
    assert!(!late.applied);
    assert_eq!(text(&mut group, 0), ">a😀b😀c");
    let now = read(&mut group, Some(first.version)).version;
    assert_eq!(late.version, now);
    let changes = [change(0, 0, "("), change(2, 4, "-"), change(5, 8, ")")];
    let done = edit(&mut group, 2, &now, &changes).expect("in order");
    assert!(done.applied);
    assert_eq!(text(&mut group, 0), "(>a-b)");
    let unchanged = read(&mut group, Some(done.version.clone()));
    assert_eq!(unchanged, Reading { title: String::new(), version: done.version, steps: Some(vec![]), text: None });
}

#[test]
fn a_reader_is_told_what_changed_since_the_version_that_it_has() {
    let mut group = editor(2);
    insert(&mut group, 1, 0, &"😀 long text\n".repeat(1000));
    group.deliver_all();
    let all = read(&mut group, None);
    assert_eq!((all.steps, all.text), (None, Some(text(&mut group, 0))));
    insert(&mut group, 1, 24, "new");
    delete(&mut group, 1, 0, 1);
    group.deliver_all();
    let news = read(&mut group, Some(all.version));
    assert_eq!((news.steps, news.text), (Some(vec![change(26, 26, "new"), change(0, 2, "")]), None));
    assert_eq!(read(&mut group, Some("never was".into())).text, Some(text(&mut group, 0)));
}

#[test]
fn changes_that_overlap_or_split_a_character_leave_nothing() {
    let mut group = editor(1);
    insert(&mut group, 0, 0, "a😀b");
    let base = read(&mut group, None).version;
    assert_eq!(edit(&mut group, 1, &base, &[change(0, 3, ""), change(1, 4, "")]), Err(Error::Unordered));
    assert_eq!(edit(&mut group, 1, &base, &[change(3, 0, "")]), Err(Error::Unordered));
    assert_eq!(edit(&mut group, 1, &base, &[change(0, 5, "")]), Err(Error::OutOfRange { at: 5, len: 4 }));
    let split = json!({"session": "s", "number": 1, "base": base, "changes": [{"from": 2, "to": 2, "insert": "x"}]});
    assert!(matches!(group.call(0, "edit", &split), Err(CallError::Trap(_))));
    assert_eq!(text(&mut group, 0), "a😀b");
    assert_eq!(read(&mut group, None).version, base);
}

#[test]
fn a_node_remembers_the_last_edits_of_some_pages_and_sends_them_nowhere() {
    let mut group = editor(2);
    for page in 0..100 {
        let base = read(&mut group, None).version;
        let session = format!("page {page}");
        let done = group.attempt(0, |editor| editor.edit(session, 1, base, vec![change(0, 0, "x")]));
        assert!(done.expect("in order").applied);
    }
    group.deliver_all();
    group.assert_equal();
    let known = |group: &mut Replicas<Editor>, replica: usize, page: u32| {
        let session = format!("page {page}");
        group.attempt(replica, |editor| editor.edit(session, 1, String::new(), vec![])).expect("in order").known
    };
    assert!(known(&mut group, 0, 99) && known(&mut group, 0, 36));
    assert!(!known(&mut group, 0, 35) && !known(&mut group, 1, 99));
}

#[test]
fn any_order_of_delivery_gives_the_same_text() {
    let run = |seed| {
        let mut group = editor(3);
        for round in 0..6u64 {
            for replica in 0..3 {
                let len = group.view(replica, |editor| editor.len());
                let at = (round * 7 + replica as u64 * 3) % (len + 1);
                insert(&mut group, replica, at, &format!("<{replica}{round}>"));
                if round % 2 == 1 {
                    delete(&mut group, replica, at / 2, 2);
                }
            }
            if round == 2 {
                group.deliver_shuffled(seed);
            }
        }
        group.deliver_shuffled(seed);
        group.assert_equal();
        text(&mut group, 0)
    };
    for seed in 1..30 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
