//! Texts and lists, as authors of apps use them.

use mesto_sdk::app;
use mesto_sdk::native::CallError;
use mesto_sdk::testing::Replicas;
use serde_json::json;

#[app::state]
pub struct Book {
    text: app::Text,
    chapters: app::List<String>,
    pages: app::Map<String, app::Text>,
    shelves: app::Map<String, app::List<u32>>,
}

#[app::logic]
impl Book {
    pub fn write(&mut self, at: u64, text: String) {
        self.text.insert(at, &text);
    }

    pub fn write_utf16(&mut self, at: u64, len: u64, text: String) {
        self.text.splice_utf16(at, len, &text);
    }

    pub fn cut(&mut self, at: u64, len: u64) {
        self.text.delete(at, len);
    }

    pub fn try_to_write_in_a_view(&self) {
        let mut text = <app::Text as mesto_sdk::Collection>::field("text");
        text.push_str("x");
    }
}

fn books(count: usize) -> Replicas<Book> {
    Replicas::new(count)
}

#[test]
fn a_text_counts_characters_utf16_units_and_lines() {
    let mut group = books(1);
    group.write(0, |book| book.text.push_str("a😀b\nsecond line\n"));
    group.view(0, |book| {
        assert_eq!((book.text.len(), book.text.len_utf16(), book.text.is_empty()), (16, 17, false));
        assert_eq!((book.text.to_utf16(2), book.text.from_utf16(3)), (3, 2));
        assert_eq!((book.text.slice(1..3), book.text.slice_utf16(1..4)), ("😀b".into(), "😀b".into()));
        assert_eq!((book.text.lines(), book.text.line_of(5), book.text.line_start(1)), (3, 1, 4));
        let lines: Vec<_> = (0..4).map(|line| book.text.line(line)).collect();
        assert_eq!(lines, [Some("a😀b".into()), Some("second line".into()), Some(String::new()), None]);
        assert_eq!(book.text.to_string(), "a😀b\nsecond line\n");
    });
    group.write(0, |book| book.text.clear());
    assert!(group.view(0, |book| book.text.is_empty()));
}

#[test]
fn a_place_that_does_not_exist_stops_the_call_and_leaves_nothing() {
    let mut group = books(1);
    group.write(0, |book| book.write(0, "a😀".into()));
    for (method, args) in [
        ("write", json!({"at": 3, "text": "x"})),
        ("cut", json!({"at": 1, "len": 2})),
        ("cut", json!({"at": 0, "len": "18446744073709551615"})),
        ("write_utf16", json!({"at": 2, "len": 0, "text": "x"})),
        ("write_utf16", json!({"at": 1, "len": 1, "text": "x"})),
    ] {
        assert!(matches!(group.call(0, method, &args), Err(CallError::Trap(_))), "{method} {args}");
    }
    assert_eq!(group.view(0, |book| book.text.to_string()), "a😀");
    let refused = group.call(0, "try_to_write_in_a_view", &json!({}));
    assert_eq!(refused, Err(CallError::ViewWrites("try_to_write_in_a_view".into())));
}

#[test]
fn the_version_of_a_text_is_another_one_after_each_change_and_the_same_without() {
    let mut group = books(1);
    let mut versions = vec![group.view(0, |book| book.text.version())];
    let edits: [fn(&mut Book); 7] = [
        |book| book.text.push_str("abc"),
        |book| book.text.delete(0, 1),
        |book| book.text.splice(0, 1, "x"),
        |book| book.text.clear(),
        |book| book.text.push_str("abc"),
        |book| {
            book.text.push_str("zz");
            book.text.delete(4, 1);
        },
        |book| {
            book.text.clear();
            book.text.push_str("again");
        },
    ];
    for edit in edits {
        let within = group.write(0, |book| {
            edit(book);
            book.text.version()
        });
        group.write(0, |book| book.chapters.push("other"));
        let version = group.view(0, |book| book.text.version());
        assert_eq!(version, within, "a call sees the version that it makes");
        assert!(!versions.contains(&version));
        versions.push(version);
    }
}

#[test]
fn a_list_keeps_its_order_and_an_item_that_is_moved_by_two_is_there_once() {
    let mut group = books(2);
    group.write(0, |book| {
        for name in ["b", "c", "d"] {
            book.chapters.push(name);
        }
        book.chapters.insert(0, "a");
    });
    group.deliver_all();
    group.write(0, |book| book.chapters.move_to(0, 3));
    group.write(1, |book| {
        book.chapters.move_to(0, 1);
        assert_eq!(book.chapters.remove(3).as_deref(), Some("d"));
        assert_eq!(book.chapters.remove(9), None);
    });
    group.deliver_all();
    group.assert_equal();
    let chapters: Vec<String> = group.view(0, |book| book.chapters.iter().collect());
    assert_eq!(chapters.len(), 3);
    assert_eq!(chapters.iter().filter(|name| *name == "a").count(), 1);
    group.write(0, |book| book.chapters.splice(1, 2, ["x", "y", "z"]));
    group.view(0, |book| {
        assert_eq!((book.chapters.len(), book.chapters.get(3)), (4, Some("z".into())));
        assert_eq!(book.chapters.get(4), None);
        assert_eq!(book.chapters.iter_from(2).collect::<Vec<_>>(), ["y", "z"]);
        assert_eq!(format!("{:?}", book.chapters).matches('"').count(), 8);
    });
    group.write(0, |book| book.chapters.clear());
    assert!(group.view(0, |book| book.chapters.is_empty()));
}

#[test]
fn long_lists_come_in_pages() {
    let mut group = books(1);
    group.write(0, |book| (0..1000u32).for_each(|n| book.shelves.entry("all").push(&n)));
    let numbers: Vec<u32> = group.view(0, |book| book.shelves.get("all").expect("there").iter().collect());
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

#[test]
fn texts_in_maps_merge_and_are_removed_with_their_entry() {
    let mut group = books(2);
    group.write(0, |book| book.pages.entry("one").push_str("abc"));
    group.write(1, |book| book.pages.entry("one").push_str("xyz"));
    group.deliver_all();
    group.assert_equal();
    let text = group.view(0, |book| book.pages.get("one").expect("there").to_string());
    assert!(text == "abcxyz" || text == "xyzabc", "{text}");
    group.write(0, |book| assert!(book.pages.remove("one")));
    group.write(1, |book| book.pages.entry("one").push_str("!"));
    group.deliver_all();
    group.assert_equal();
    assert_eq!(group.view(1, |book| book.pages.get("one").expect("written to meanwhile").to_string()), "!");
}

#[test]
fn the_schema_shows_texts_and_lists() {
    let schema = mesto_sdk::native::NativeApp::new::<Book>().schema_json();
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["state"][0], json!({"name": "text", "kind": "text"}));
    assert_eq!(schema["state"][1], json!({"name": "chapters", "kind": "list", "of": {"type": "string"}}));
    assert_eq!(schema["state"][2]["of"], json!({"kind": "text"}));
}
