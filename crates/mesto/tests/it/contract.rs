//! What scripts that know nothing but the names of commands, routes and fields run into.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::network::{begin, get, group, join, listed, me, set, ticket};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually, number, text};

#[test]
fn f01_who_has_just_joined_can_begin_a_context_though_the_app_is_still_on_its_way() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = group(&anna, "friends");
    let ticket = text(&anna.cli(&["invite", &group, "--caps", "create-contexts"]).ok(), "ticket");
    boris.cli(&["join", &ticket, "--wait"]).ok();
    // What he may not do, he is told at once.
    boris.cli(&["invite", &group]).fails(4, "Forbidden");
    let context = text(&boris.cli(&["context", "create", &group, "--name", "his"]).ok(), "contextId");
    eventually("the context arrives", ARRIVES_WITHIN, || {
        let known = anna.cli(&["context", "ls", &group]).ok();
        known.as_array()?.iter().any(|row| row["contextId"] == context.as_str()).then_some(())
    });
}

#[test]
fn f01_who_may_not_begin_contexts_is_told_so_and_not_of_the_app() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = group(&anna, "friends");
    boris.cli(&["join", &ticket(&anna, &group), "--wait"]).ok();
    boris.cli(&["context", "create", &group]).fails(4, "Forbidden");
}

#[test]
fn a_few_characters_that_fit_several_things_end_with_status_2_and_show_them() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let mut by_first: BTreeMap<char, Vec<String>> = BTreeMap::new();
    // An id begins with one of 32 characters: two of 33 begin alike.
    let (first, mut alike) = (0..33)
        .find_map(|n| {
            let id = group(&node, &format!("group {n}"));
            let first = id.chars().next().expect("a character");
            let alike = by_first.entry(first).or_default();
            alike.push(id);
            (alike.len() > 1).then(|| (first.to_string(), alike.clone()))
        })
        .expect("two that begin alike");
    let error = node.cli(&["group", "show", &first]).fails(2, "Ambiguous");
    let mut shown: Vec<&str> =
        error["data"]["candidates"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    shown.sort_unstable();
    alike.sort_unstable();
    assert_eq!(shown, alike);
    let alone = by_first.iter().find(|(_, ids)| ids.len() == 1);
    if let Some((first, _)) = alone {
        // One that fits today may fit two tomorrow.
        node.cli(&["group", "show", &first.to_string()]).fails(5, "GroupNotFound");
    }
}

#[test]
fn f17_to_set_what_is_set_already_is_no_failure_and_no_op() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let group = shared.group.as_str();
    let (of_anna, of_boris) = (me(&anna, group), me(&boris, group));
    let ops = |node: &Node| number(&node.cli(&["group", "show", group]).ok(), "ops");
    let before = ops(&anna);
    let row = listed(&anna, group, &of_boris).expect("a member");
    assert_eq!(anna.cli(&["member", "role", group, &of_boris, "member"]).ok(), row);
    assert_eq!(anna.cli(&["member", "caps", group, &of_boris, "join-open-contexts"]).ok(), row);
    assert_eq!(ops(&anna), before);
    // Who may not set it may not set it to what it is either.
    boris.cli(&["member", "role", group, &of_boris, "member"]).fails(4, "Forbidden");
    boris.cli(&["member", "caps", group, &of_anna]).fails(4, "Forbidden");
    boris.cli(&["member", "add", group, &of_anna]).fails(4, "Forbidden");
}

#[test]
fn a_request_takes_a_thing_by_the_name_that_answers_give_it() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let shared = begin(&node);
    let mut http = node.http();
    let context = http.get(&format!("/admin-api/contexts/{}", shared.context)).data();
    let named = json!({"groupId": context["groupId"], "applicationId": context["applicationId"]});
    let other = text(&http.post("/admin-api/contexts", &named).data(), "contextId");
    assert_ne!(other, shared.context);
    let named = json!({"parentId": context["groupId"], "applicationId": context["applicationId"]});
    let below = text(&http.post("/admin-api/groups", &named).data(), "groupId");
    assert_eq!(http.get(&format!("/admin-api/groups/{below}")).data()["parentId"], context["groupId"]);
    let twice = json!({"group": shared.group, "groupId": shared.group});
    http.post("/admin-api/contexts", &twice).problem(422, "InvalidArgument");
    http.post("/admin-api/groups", &json!([])).problem(422, "InvalidArgument");
    http.post("/admin-api/groups", &json!(["unnamed"])).problem(422, "InvalidArgument");
}

#[test]
fn f19_whoever_is_kept_out_sees_in_the_trace_by_what() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = group(&anna, "friends");
    let caps = "create-contexts,join-open-contexts";
    boris.cli(&["join", &text(&anna.cli(&["invite", &group, "--caps", caps]).ok(), "ticket"), "--wait"]).ok();
    let context = text(&boris.cli(&["context", "create", &group, "--restricted"]).ok(), "contextId");
    let below = text(&anna.cli(&["group", "create", "--parent", &group]).ok(), "groupId");
    eventually("the context and the subgroup arrive", ARRIVES_WITHIN, || {
        let there = anna.cli(&["context", "show", &context]).status == Some(0);
        (there && boris.cli(&["group", "show", &below]).status == Some(0)).then_some(())
    });
    // Of a direct admin's powers the trace of a refusal says nothing: here somebody without them is refused.
    let closed = text(&anna.cli(&["context", "create", &below, "--restricted"]).ok(), "contextId");
    eventually("the other context arrives", ARRIVES_WITHIN, || {
        (boris.cli(&["context", "show", &closed]).status == Some(0)).then_some(())
    });
    boris.cli(&["context", "visibility", &closed, "open"]).fails(4, "Forbidden");
    let trail = boris.cli(&["trace", "f19"]).ok();
    let steps: Vec<String> = trail.as_array().expect("a list").iter().map(|arrow| text(arrow, "step")).collect();
    assert_eq!(steps, ["kept out of what is restricted"]);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_open_anything_in_a_home() {
    use std::os::unix::fs::PermissionsExt as _;

    fn open_to_others(path: &Path, found: &mut Vec<(PathBuf, u32)>) {
        let mode = std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push((path.to_owned(), mode));
        }
        for entry in std::fs::read_dir(path).into_iter().flatten() {
            open_to_others(&entry.expect("an entry").path(), found);
        }
    }

    let stage = Stage::of(1);
    let node = stage.start("node");
    begin(&node);
    let mut found = Vec::new();
    open_to_others(node.home().folder(), &mut found);
    assert_eq!(found, []);
    let (home, _) = node.stop();
    open_to_others(home.folder(), &mut found);
    assert_eq!(found, []);
}

#[test]
fn f03_a_group_that_is_still_being_joined_is_told_of_as_such() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = group(&anna, "friends");
    let ticket = ticket(&anna, &group);
    anna.stop();
    assert_eq!(boris.cli(&["join", &ticket]).ok()["joined"], false);
    boris.cli(&["group", "show", &group]).fails(1, "KeyMissing");
    boris.cli(&["context", "create", &group]).fails(4, "Forbidden");
}

#[test]
fn f15_who_was_removed_above_can_be_brought_back_below_alone() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let below = text(&anna.cli(&["group", "create", "--parent", &shared.group, "--name", "below"]).ok(), "groupId");
    let context = text(&anna.cli(&["context", "create", &below]).ok(), "contextId");
    let of_boris = me(&boris, &shared.group);
    eventually("boris knows the subgroup", ARRIVES_WITHIN, || {
        (boris.cli(&["group", "show", &below]).status == Some(0)).then_some(())
    });
    anna.cli(&["member", "rm", &shared.group, &of_boris]).ok();
    assert_eq!(anna.cli(&["group", "why", &below, &of_boris, "read"]).ok()["allowed"], false);
    anna.cli(&["member", "add", &below, &of_boris]).ok();
    eventually("boris is let in below", ARRIVES_WITHIN, || {
        (boris.cli(&["context", "join", &context, "--wait", "--timeout", "5s"]).status == Some(0)).then_some(())
    });
    boris.cli(&["call", &context, "set", "key=tea", "value=green"]).ok();
    boris.cli(&["call", &shared.context, "set", "key=tea", "value=green"]).fails(4, "Forbidden");
    eventually("what he writes arrives", ARRIVES_WITHIN, || {
        (anna.cli(&["call", &context, "get", "key=tea"]).ok()["output"] == "green").then_some(())
    });
}

#[test]
fn f03_a_ticket_from_before_a_removal_lets_in_neither_the_removed_nor_guests_of_the_removed() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    let group = shared.group.as_str();
    let ticket = text(&anna.cli(&["invite", group, "--role", "admin", "--uses", "5"]).ok(), "ticket");
    boris.cli(&["join", &ticket, "--wait"]).ok();
    let his = text(&boris.cli(&["invite", group]).ok(), "ticket");
    // So that clara finds a member whom to ask even when he is none any more.
    clara.cli(&["connect", &anna.listen()[0]]).ok();
    let of_boris = me(&boris, group);
    anna.cli(&["member", "rm", group, &of_boris]).ok();
    eventually("boris knows", ARRIVES_WITHIN, || {
        boris.cli(&["group", "show", group]).ok()["role"].is_null().then_some(())
    });
    boris.cli(&["join", &ticket, "--wait", "--timeout", "10s"]).fails(1, "JoinRefused");
    clara.cli(&["join", &his, "--wait", "--timeout", "10s"]).fails(1, "JoinRefused");
    // The same ticket is still good for others, and a new one for both.
    clara.cli(&["join", &ticket, "--wait"]).ok();
    boris.cli(&["join", &crate::network::ticket(&anna, group), "--wait"]).ok();
}

/// Less than a question may be out: who comes back does not wait for the answer to one that it asked as a stranger.
const SOON: &str = "4s";

#[test]
fn f03_who_comes_back_has_at_once_what_was_written_meanwhile() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let group = shared.group.as_str();
    for round in ["once", "twice"] {
        let of_boris = me(&boris, group);
        anna.cli(&["member", "rm", group, &of_boris]).ok();
        set(&anna, &shared.context, round, "meanwhile");
        eventually("boris knows", ARRIVES_WITHIN, || {
            boris.cli(&["group", "show", group]).ok()["role"].is_null().then_some(())
        });
        let ticket = ticket(&anna, group);
        boris.cli(&["join", &ticket, "--wait", "--timeout", SOON, "--contexts", "all"]).ok();
        assert_eq!(get(&boris, &shared.context, round), "meanwhile");
    }
}
