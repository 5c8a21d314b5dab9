//! Flows F15, F18 and F19 in a tree of groups: who is a member below, what a removal above takes, and what nobody above
//! may do.

use serde_json::{Value, json};

use crate::network::{Shared, begin, equal, get, join, listed, me, set, shown, ticket};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually, number, text};

/// A subgroup that runs what its parent runs.
fn below(node: &Node, parent: &str, name: &str) -> String {
    text(&node.cli(&["group", "create", "--name", name, "--parent", parent]).ok(), "groupId")
}

fn context(node: &Node, group: &str, name: &str) -> String {
    text(&node.cli(&["context", "create", group, "--name", name]).ok(), "contextId")
}

/// Waits until a node is in a group as `role`.
#[track_caller]
fn is_in(node: &Node, group: &str, role: &Value) {
    eventually("the group is there", ARRIVES_WITHIN, || {
        let shown = node.cli(&["group", "ls"]).ok();
        shown.as_array()?.iter().find(|row| row["groupId"] == group && row["role"] == *role).map(drop)
    });
}

/// Joins a context once its group shows it.
#[track_caller]
fn enter(node: &Node, context: &str) {
    eventually("the context can be joined", ARRIVES_WITHIN, || {
        (node.cli(&["context", "join", context, "--wait"]).status == Some(0)).then_some(())
    });
}

#[test]
fn f15_a_subgroup_is_there_for_all_members_of_its_parent() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    boris.cli(&["group", "create", "--name", "mine", "--parent", &shared.group]).fails(4, "Forbidden");
    let team = below(&anna, &shared.group, "team");
    is_in(&boris, &team, &json!("member"));
    let group = boris.cli(&["group", "show", "team"]).ok();
    assert_eq!((&group["parentId"], &group["subgroups"]), (&json!(shared.group), &json!([])));
    assert_eq!(boris.cli(&["group", "show", &shared.group]).ok()["subgroups"], json!([team]));
    let row = listed(&boris, "team", &me(&boris, "team")).expect("boris is a member");
    assert_eq!((&row["inherited"], &row["origin"]), (&json!(true), &json!(shared.group)));
    assert_eq!(me(&boris, "team"), me(&boris, &shared.group), "one key in a whole tree");

    let notes = context(&anna, "team", "notes");
    enter(&boris, &notes);
    set(&anna, &notes, "tea", "green");
    set(&boris, &notes, "coffee", "black");
    equal(&[&anna, &boris], &notes, 3);

    let (boris, anna) = (boris.kill().start(), anna.kill().start());
    set(&boris, &notes, "milk", "none");
    equal(&[&anna, &boris], &notes, 4);
    assert_eq!(get(&anna, &notes, "milk"), "none");
    let why = boris.cli(&["group", "why", "team", &me(&boris, "team"), "create-contexts"]).ok();
    assert_eq!(why["allowed"], false);
    assert!(text(&why, "denied").contains("create-contexts"), "{why}");
    assert_eq!(why["rows"][1]["groupId"], shared.group.as_str());
    boris.cli(&["group", "why", "team", &me(&boris, "team"), "fly"]).fails(2, "InvalidArgument");
    // With a row of its own it has the name that it has above.
    anna.cli(&["member", "add", "team", "boris"]).ok();
    let row = listed(&anna, "team", &me(&boris, "team")).expect("boris is a member");
    assert_eq!((&row["inherited"], &row["alias"]), (&json!(false), &json!("boris")));
    anna.cli(&["member", "rm", "team", "boris"]).ok();

    boris.cli(&["group", "rm", "team"]).fails(4, "Forbidden");
    anna.cli(&["group", "rm", "team"]).ok();
    eventually("the subgroup has ended", ARRIVES_WITHIN, || {
        (boris.cli(&["call", &notes, "set", "key=tea", "value=late"]).status == Some(4)).then_some(())
    });
}

#[test]
fn f15_who_is_let_into_a_subgroup_alone_follows_the_governance_above_and_nothing_else() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let team = below(&anna, &shared.group, "team");
    let squad = below(&anna, &team, "squad");
    is_in(&boris, &squad, &json!("member"));
    let notes = context(&anna, &squad, "notes");
    enter(&boris, &notes);
    // Invited by somebody who is a member by an ancestor two levels up.
    anna.cli(&["member", "role", &shared.group, &me(&boris, &shared.group), "admin"]).ok();
    is_in(&boris, &squad, &json!("admin"));
    let joined = clara.cli(&["join", &ticket(&boris, &squad), "--wait"]).ok();
    assert_eq!(joined["joined"], true);
    enter(&clara, &notes);
    set(&clara, &notes, "by clara", "here");
    equal(&[&anna, &boris, &clara], &notes, 2);

    is_in(&clara, &shared.group, &Value::Null);
    clara.cli(&["context", "join", &shared.context]).fails(4, "Forbidden");
    clara.cli(&["invite", &shared.group]).fails(4, "Forbidden");
    set(&anna, &shared.context, "above", "secret");
    let clara = clara.kill().start();
    set(&anna, &notes, "after", "a restart");
    equal(&[&anna, &boris, &clara], &notes, 3);
    // What is decided above reaches who is a member below alone: boris leads no more.
    anna.cli(&["member", "rm", &shared.group, &me(&boris, &shared.group)]).ok();
    eventually("clara learns it", ARRIVES_WITHIN, || {
        listed(&clara, &squad, &me(&boris, &squad)).is_none().then_some(())
    });
    set(&clara, &notes, "since then", "under another key");
    equal(&[&anna, &clara], &notes, 4);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(get(&boris, &notes, "since then"), Value::Null);
}

#[test]
fn f15_groups_nest_sixteen_deep_and_no_deeper() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let mut groups = vec![shared.group.clone()];
    for depth in 1..=16 {
        let parent = groups.last().expect("a parent").clone();
        let name = format!("level {depth}");
        groups.push(text(&anna.cli(&["group", "create", "--name", &name, "--parent", &parent]).ok(), "groupId"));
    }
    let deepest = groups.last().expect("the deepest");
    let error = anna.cli(&["group", "create", "--parent", deepest]).fails(2, "InvalidArgument");
    assert!(text(&error, "detail").contains("16"), "{error}");
    // Whoever is let into the deepest follows all of them.
    let joined = boris.cli(&["join", &ticket(&anna, deepest), "--wait"]).ok();
    assert_eq!(joined["joined"], true);
    assert_eq!(boris.cli(&["group", "ls"]).ok().as_array().map(Vec::len), Some(17));
}

#[test]
fn f18_a_removal_goes_down_the_tree_as_far_as_no_direct_row_holds() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    let team = below(&anna, &shared.group, "team");
    let side = below(&anna, &shared.group, "side");
    let squad = below(&anna, &team, "squad");
    let places: Vec<String> = [&team, &side, &squad].iter().map(|group| context(&anna, group, "notes")).collect();
    let [of_team, of_side, of_squad] = places.as_slice() else { panic!("three contexts") };
    for node in [&boris, &clara] {
        places.iter().for_each(|place| enter(node, place));
    }
    let member = me(&boris, &shared.group);
    let row = anna.cli(&["member", "add", &team, &member]).ok();
    assert_eq!((&row["inherited"], &row["role"]), (&json!(false), &json!("member")));
    for place in places.iter().chain([&shared.context]) {
        set(&boris, place, "by boris", "before");
    }
    for place in &places {
        equal(&[&anna, &boris, &clara], place, 2);
    }
    equal(&[&anna, &boris, &clara], &shared.context, 2);

    anna.cli(&["member", "rm", &shared.group, &member]).ok();
    for node in [&anna, &boris, &clara] {
        eventually("boris is out above", ARRIVES_WITHIN, || {
            let gone = [&shared.group, &side].iter().all(|group| listed(node, group, &member).is_none());
            gone.then_some(())
        });
        for group in [&team, &squad] {
            assert!(listed(node, group, &member).is_some(), "the direct row of the team holds there and below");
        }
    }
    for place in [&shared.context, of_side] {
        boris.cli(&["call", place, "set", "key=by boris", "value=after"]).fails(4, "Forbidden");
        set(&clara, place, "secret", "since then");
        let after = equal(&[&anna, &clara], place, 3);
        assert_eq!(number(&after, "voided"), 0, "what was seen of boris is kept");
    }
    for place in [of_team, of_squad] {
        set(&boris, place, "by boris", "after");
        set(&clara, place, "for all", "since then");
        equal(&[&anna, &boris, &clara], place, 4);
    }
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    for place in [&shared.context, of_side] {
        assert_eq!(get(&boris, place, "secret"), Value::Null);
    }

    anna.cli(&["member", "rm", &team, &member]).ok();
    for node in [&anna, &boris, &clara] {
        eventually("boris is out everywhere", ARRIVES_WITHIN, || {
            [&team, &squad].iter().all(|group| listed(node, group, &member).is_none()).then_some(())
        });
    }
    set(&clara, of_squad, "secret", "since then");
    equal(&[&anna, &clara], of_squad, 5);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(get(&boris, of_squad, "secret"), Value::Null);
}

#[test]
fn f18_what_a_member_by_inheritance_wrote_while_cut_off_is_void_below_too() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let team = below(&anna, &shared.group, "team");
    is_in(&boris, &team, &json!("member"));
    let notes = context(&anna, &team, "notes");
    enter(&boris, &notes);
    set(&boris, &notes, "tea", "green");
    equal(&[&anna, &boris], &notes, 2);
    let member = me(&boris, &team);
    let (anna, _) = anna.stop();
    set(&boris, &notes, "tea", "poisoned");
    let (boris, _) = boris.stop();
    let anna = anna.start();
    anna.cli(&["member", "rm", &shared.group, &member]).ok();
    let boris = boris.start();
    for node in [&anna, &boris] {
        eventually("what boris wrote is void", ARRIVES_WITHIN, || {
            (number(&shown(node, &notes), "voided") == 1).then_some(())
        });
        assert_eq!(get(node, &notes, "tea"), "green");
    }
    equal(&[&anna, &boris], &notes, 2);
}

#[test]
fn f19_who_leads_above_governs_below_but_sees_nothing_that_is_restricted() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    let of_boris = me(&boris, &shared.group);
    anna.cli(&["member", "role", &shared.group, &of_boris, "admin"]).ok();
    let Shared { group, .. } = &shared;
    let team = below(&anna, group, "team");
    is_in(&boris, &team, &json!("admin"));
    let secret = text(&anna.cli(&["context", "create", &team, "--name", "secret", "--restricted"]).ok(), "contextId");
    let of_clara = me(&clara, group);
    anna.cli(&["context", "allow", &secret, &of_clara]).ok();
    enter(&clara, &secret);
    set(&anna, &secret, "plan", "b");
    equal(&[&anna, &clara], &secret, 2);

    // Structure is his to decide.
    eventually("boris may create contexts", ARRIVES_WITHIN, || {
        (boris.cli(&["context", "create", &team, "--name", "open"]).status == Some(0)).then_some(())
    });
    boris.cli(&["invite", &team]).ok();
    boris.cli(&["group", "settings", &team, "--name", "our team"]).ok();
    boris.cli(&["group", "create", "--name", "squad", "--parent", &team]).ok();
    // What is restricted is not, nor can he let himself in.
    boris.cli(&["context", "join", &secret]).fails(4, "Forbidden");
    boris.cli(&["context", "allow", &secret, &of_boris]).fails(4, "Forbidden");
    boris.cli(&["context", "disallow", &secret, &of_clara]).fails(4, "Forbidden");
    boris.cli(&["context", "visibility", &secret, "open"]).fails(4, "Forbidden");
    boris.cli(&["member", "add", &team, &of_boris, "--role", "admin"]).fails(4, "Forbidden");
    boris.cli(&["member", "role", &team, &of_clara, "admin"]).fails(4, "Forbidden");
    let why = boris.cli(&["group", "why", &team, &of_boris, "join:secret"]).ok();
    assert_eq!(why["allowed"], false);
    assert!(text(&why, "text").contains("allowlist"), "{why}");
    let shown = boris.cli(&["context", "show", &secret]).ok();
    assert_eq!((&shown["joined"], &shown["entries"]), (&json!(false), &json!(0)), "nothing of it came to boris");
}

#[test]
fn f18_who_comes_back_by_other_keys_is_back_in_the_whole_tree() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let team = below(&anna, &shared.group, "team");
    let notes = context(&anna, &team, "notes");
    enter(&boris, &notes);
    let first = me(&boris, &team);
    anna.cli(&["member", "rm", &shared.group, &first]).ok();
    is_in(&boris, &team, &Value::Null);
    let card = boris.cli(&["whoami", "--new"]).ok();
    anna.cli(&["member", "add", &shared.group, &text(&card, "card")]).ok();
    is_in(&boris, &team, &json!("member"));
    let second = text(&card, "memberId");
    assert_eq!([me(&boris, &shared.group), me(&boris, &team)], [second.clone(), second]);
    eventually("boris writes below again", ARRIVES_WITHIN, || {
        (boris.cli(&["call", &notes, "set", "key=tea", "value=green"]).status == Some(0)).then_some(())
    });
    eventually("anna sees it", ARRIVES_WITHIN, || (get(&anna, &notes, "tea") == "green").then_some(()));
    assert_eq!(listed(&anna, &team, &first), None);
}
