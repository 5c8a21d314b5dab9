//! Flows F03, F10 to F12, F17 and F18 when members decide apart from each other, come back late, or come back as they
//! were long ago.

use std::path::Path;
use std::{fs, thread};

use serde_json::{Value, json};

use crate::network::{Shared, begin, equal, get, join, listed, me, set, shown, ticket};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually, number, text};

/// Who is in a group as what, by a node's own fold.
fn members(node: &Node, group: &str) -> Vec<(String, String)> {
    let rows = node.cli(&["member", "ls", group]).ok();
    rows.as_array().into_iter().flatten().map(|row| (text(row, "memberId"), text(row, "role"))).collect()
}

/// Waits until all nodes list the same members and have the same governance.
#[track_caller]
fn agree(nodes: &[&Node], group: &str) -> Vec<(String, String)> {
    eventually("all nodes agree on who is in the group", ARRIVES_WITHIN, || {
        let states: Vec<Value> = nodes.iter().map(|node| node.cli(&["group", "show", group]).ok()).collect();
        let same = |key: &str| states.iter().all(|state| state[key] == states[0][key]);
        (same("digest") && same("heads") && same("ops")).then(|| members(nodes[0], group))
    })
}

/// Waits until a node lists a member with this role, or, with none, not at all.
#[track_caller]
fn becomes(node: &Node, group: &str, member: &str, role: Option<&str>) {
    eventually("the role arrives", ARRIVES_WITHIN, || {
        let found = members(node, group).into_iter().find(|(who, _)| who == member);
        (found.as_ref().map(|(_, role)| role.as_str()) == role).then_some(())
    });
}

/// Three in one context: anna owns, the others joined.
fn three(stage: &Stage) -> (Node, Node, Node, Shared) {
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    equal(&[&anna, &boris, &clara], &shared.context, 1);
    (anna, boris, clara, shared)
}

/// The steps of a flow that a node has seen.
fn steps(node: &Node, flow: &str) -> Vec<String> {
    let arrows = node.cli(&["trace", flow]).ok();
    arrows.as_array().into_iter().flatten().map(|arrow| text(arrow, "step")).collect()
}

#[test]
fn f18_of_two_admins_who_remove_each_other_apart_one_stays_and_all_agree_which() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    let Shared { group, context } = &shared;
    let (of_boris, of_clara) = (me(&boris, group), me(&clara, group));
    anna.cli(&["member", "role", group, &of_boris, "admin"]).ok();
    anna.cli(&["member", "role", group, &of_clara, "admin"]).ok();
    for node in [&boris, &clara] {
        becomes(node, group, &of_clara, Some("admin"));
    }
    // The junior of the two cannot: who was made admin first outranks.
    clara.cli(&["member", "rm", group, &of_boris]).fails(4, "Forbidden");

    // While boris is away he is made the junior, and clara removes him. He knows of neither, and removes her.
    let (boris, _) = boris.stop();
    anna.cli(&["member", "role", group, &of_boris, "member"]).ok();
    anna.cli(&["member", "role", group, &of_boris, "admin"]).ok();
    eventually("clara is the senior", ARRIVES_WITHIN, || {
        (clara.cli(&["member", "rm", group, &of_boris]).status == Some(0)).then_some(())
    });
    set(&clara, context, "by clara", "apart");
    equal(&[&anna, &clara], context, 2);
    let ((anna, _), (clara, _)) = (anna.stop(), clara.stop());
    let boris = boris.start();
    boris.cli(&["member", "rm", group, &of_clara]).ok();
    set(&boris, context, "by boris", "apart");
    assert_eq!(members(&boris, group).len(), 2);

    let (anna, clara) = (anna.start(), clara.start());
    let left = agree(&[&anna, &clara], group);
    assert!(left.iter().any(|(who, role)| *who == of_clara && role == "admin"), "{left:?}");
    assert!(left.iter().all(|(who, _)| *who != of_boris), "{left:?}");
    becomes(&boris, group, &of_boris, None);
    becomes(&boris, group, &of_clara, Some("admin"));
    let after = eventually("what boris wrote apart is void", ARRIVES_WITHIN, || {
        let after = shown(&anna, context);
        (number(&after, "voided") == 1).then_some(after)
    });
    assert_eq!(number(&after, "entries"), 2);
    equal(&[&anna, &clara], context, 2);
    assert_eq!(get(&clara, context, "by boris"), Value::Null);
    assert_eq!(get(&anna, context, "by clara"), "apart");
}

#[test]
fn f18_of_two_transfers_of_a_group_apart_one_stands_and_all_agree_which() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    let Shared { group, .. } = &shared;
    let (of_anna, of_boris, of_clara) = (me(&anna, group), me(&boris, group), me(&clara, group));
    boris.cli(&["member", "role", group, &of_boris, "owner"]).fails(4, "Forbidden");
    anna.cli(&["member", "role", group, &of_boris, "owner"]).ok();
    let after = agree(&[&anna, &boris, &clara], group);
    let expected = [(&of_anna, "admin"), (&of_boris, "owner"), (&of_clara, "member")];
    assert!(expected.iter().all(|(who, role)| after.contains(&((*who).clone(), (*role).to_owned()))), "{after:?}");
    anna.cli(&["member", "rm", group, &of_boris]).fails(4, "Forbidden");
    // The one who has it now hands it on, and what the one before still thinks does not count.
    boris.cli(&["member", "role", group, &of_clara, "owner"]).ok();
    let after = agree(&[&anna, &boris, &clara], group);
    let owners: Vec<_> = after.iter().filter(|(_, role)| role == "owner").collect();
    assert_eq!(owners, [&(of_clara, "owner".to_owned())]);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

#[test]
fn f18_an_old_home_folder_of_a_removed_member_gains_nothing() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    let Shared { group, context } = &shared;
    let of_boris = me(&boris, group);
    set(&boris, context, "by boris", "long ago");
    equal(&[&anna, &boris, &clara], context, 2);
    let (boris, _) = boris.stop();
    let old = stage.path("old");
    copy(boris.folder(), &old);
    let boris = boris.start();
    set(&boris, context, "by boris", "before");
    equal(&[&anna, &boris, &clara], context, 3);
    anna.cli(&["member", "rm", group, &of_boris]).ok();
    for node in [&anna, &boris, &clara] {
        becomes(node, group, &of_boris, None);
    }
    set(&anna, context, "secret", "since then");
    equal(&[&anna, &clara], context, 4);

    // The old folder knows nothing of the removal. Nobody is there to tell, so it writes on.
    let ((anna, _), (clara, _), (boris, _)) = (anna.stop(), clara.stop(), boris.stop());
    fs::remove_dir_all(boris.folder()).expect("the newer folder goes");
    copy(&old, boris.folder());
    let boris = boris.start();
    set(&boris, context, "by boris", "poisoned");
    set(&boris, context, "tea", "poisoned");
    let (anna, clara) = (anna.start(), clara.start());
    becomes(&boris, group, &of_boris, None);
    for node in [&anna, &clara] {
        eventually("what the old folder wrote is void", ARRIVES_WITHIN, || {
            (number(&shown(node, context), "voided") == 2).then_some(())
        });
    }
    // Whoever writes next names all heads, void ones among them, and does not bring them back by that.
    set(&clara, context, "later", "on top of all");
    equal(&[&anna, &clara], context, 5);
    for node in [&anna, &clara] {
        assert_eq!((get(node, context, "by boris"), get(node, context, "tea")), (json!("before"), Value::Null));
        assert_eq!(number(&shown(node, context), "voided"), 2);
    }
    thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(get(&boris, context, "secret"), Value::Null);
    boris.cli(&["call", context, "set", "key=tea", "value=late"]).fails(4, "Forbidden");
}

#[test]
fn f18_who_is_out_and_knows_it_keeps_nothing_of_what_is_said_after() {
    let stage = Stage::of(3);
    let (anna, boris, clara, shared) = three(&stage);
    let Shared { group, context } = &shared;
    let of_boris = me(&boris, group);
    anna.cli(&["member", "rm", group, &of_boris]).ok();
    for node in [&anna, &boris, &clara] {
        becomes(node, group, &of_boris, None);
    }
    let held = |node: &Node| {
        let ops = number(&node.cli(&["group", "show", group]).ok(), "ops");
        let contexts = node.cli(&["context", "ls", group]).ok();
        (ops, number(&shown(node, context), "parked"), contexts.as_array().map(Vec::len))
    };
    let before = held(&boris);
    anna.cli(&["group", "settings", group, "--name", "others"]).ok();
    anna.cli(&["context", "create", group, "--name", "later"]).ok();
    set(&anna, context, "a", "1");
    set(&clara, context, "b", "2");
    equal(&[&anna, &clara], context, 3);
    // Whatever is said on the topics has been said.
    thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(held(&boris), before);
    // Once it is let in again it is told all of it.
    anna.cli(&["member", "add", group, &of_boris]).ok();
    becomes(&boris, group, &of_boris, Some("member"));
    boris.cli(&["context", "join", context, "--wait"]).ok();
    set(&boris, context, "c", "3");
    equal(&[&anna, &boris, &clara], context, 4);
    assert_eq!(boris.cli(&["group", "show", group]).ok()["name"], "others");
}

#[test]
fn a_home_that_was_put_back_from_a_copy_and_wrote_on_can_go_on() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let Shared { group, context } = &shared;
    let of_boris = me(&boris, group);
    set(&boris, context, "a", "1");
    let (boris, _) = boris.stop();
    let old = stage.path("old");
    copy(boris.folder(), &old);
    let boris = boris.start();
    set(&boris, context, "b", "2");
    boris.cli(&["member", "alias", group, &of_boris, "newer"]).ok();
    equal(&[&anna, &boris], context, 3);
    agree(&[&anna, &boris], group);

    // Nobody is there who could tell the old folder of what it does not know, so it uses the same numbers again.
    let ((anna, _), (boris, _)) = (anna.stop(), boris.stop());
    fs::remove_dir_all(boris.folder()).expect("the newer folder goes");
    copy(&old, boris.folder());
    let boris = boris.start();
    set(&boris, context, "c", "3");
    boris.cli(&["member", "alias", group, &of_boris, "older"]).ok();
    let anna = anna.start();
    equal(&[&anna, &boris], context, 4);
    agree(&[&anna, &boris], group);

    set(&boris, context, "d", "4");
    boris.cli(&["member", "alias", group, &of_boris, "both"]).ok();
    equal(&[&anna, &boris], context, 5);
    agree(&[&anna, &boris], group);
    // Nor is the new life forgotten by a start.
    let boris = boris.kill().start();
    set(&boris, context, "e", "5");
    equal(&[&anna, &boris], context, 6);
    for node in [&anna, &boris] {
        for (key, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
            assert_eq!(get(node, context, key), json!(value));
        }
        assert_eq!(number(&shown(node, context), "voided"), 0);
    }
}

#[test]
fn f03_who_joins_after_a_removal_comes_to_what_all_others_have() {
    let stage = Stage::of(4);
    let (anna, boris, clara, shared) = three(&stage);
    let Shared { group, context } = &shared;
    let of_boris = me(&boris, group);
    set(&boris, context, "by boris", "before");
    equal(&[&anna, &boris, &clara], context, 2);
    let (anna, _) = anna.stop();
    let (clara, _) = clara.stop();
    set(&boris, context, "by boris", "poisoned");
    let (boris, _) = boris.stop();
    let anna = anna.start();
    anna.cli(&["member", "rm", group, &of_boris]).ok();
    let (clara, boris) = (clara.start(), boris.start());
    for node in [&anna, &clara] {
        eventually("what boris wrote is void", ARRIVES_WITHIN, || {
            (number(&shown(node, context), "voided") == 1).then_some(())
        });
    }
    let dora = stage.start("dora");
    join(&clara_invites(&anna, &clara, group), &dora, &shared);
    agree(&[&anna, &clara, &dora], group);
    let after = equal(&[&anna, &clara, &dora], context, 2);
    assert_eq!(number(&after, "voided"), 1, "the late one judges as all others do");
    assert_eq!(get(&dora, context, "by boris"), "before");
    boris.cli(&["call", context, "set", "key=tea", "value=late"]).fails(4, "Forbidden");
}

/// Whoever makes the ticket is not who countersigns it: the ticket is clara's.
fn clara_invites<'a>(anna: &Node, clara: &'a Node, group: &str) -> &'a Node {
    anna.cli(&["member", "caps", group, &me(clara, group), "invite-members,join-open-contexts"]).ok();
    eventually("clara may invite", ARRIVES_WITHIN, || (clara.cli(&["invite", group]).status == Some(0)).then_some(()));
    clara
}

#[test]
fn f17_what_was_done_by_a_capability_that_was_taken_meanwhile_falls_everywhere() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let Shared { group, .. } = &shared;
    let of_boris = me(&boris, group);
    // Given while he is away: he has it when he comes back.
    let (boris, _) = boris.stop();
    anna.cli(&["member", "caps", group, &of_boris, "create-contexts,join-open-contexts"]).ok();
    let boris = boris.start();
    eventually("the right arrives", ARRIVES_WITHIN, || {
        (boris.cli(&["context", "create", group, "--name", "stays"]).status == Some(0)).then_some(())
    });
    eventually("anna lists it", ARRIVES_WITHIN, || {
        let listed = anna.cli(&["context", "ls", group]).ok();
        listed.as_array()?.iter().find(|row| row["name"] == "stays").map(drop)
    });
    // Taken while he is away: what he did by it apart does not count.
    let (boris, _) = boris.stop();
    anna.cli(&["member", "caps", group, &of_boris, "join-open-contexts"]).ok();
    let (anna, _) = anna.stop();
    let boris = boris.start();
    boris.cli(&["context", "create", group, "--name", "falls"]).ok();
    let anna = anna.start();
    agree(&[&anna, &boris], group);
    for node in [&anna, &boris] {
        let listed = node.cli(&["context", "ls", group]).ok();
        let names: Vec<_> = listed.as_array().into_iter().flatten().map(|row| text(row, "name")).collect();
        assert!(names.contains(&"stays".to_owned()) && !names.contains(&"falls".to_owned()), "{names:?}");
    }
    boris.cli(&["context", "create", group]).fails(4, "Forbidden");
}

#[test]
fn f03_two_who_have_just_joined_write_at_once() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    let tickets = [ticket(&anna, &shared.group), ticket(&anna, &shared.group)];
    thread::scope(|scope| {
        for (node, ticket) in [&boris, &clara].into_iter().zip(&tickets) {
            let context = &shared.context;
            scope.spawn(move || {
                node.cli(&["join", ticket, "--contexts", "all", "--wait"]).ok();
                for n in 0..10 {
                    set(node, context, &format!("{n}"), node.peer_id());
                }
            });
        }
    });
    equal(&[&anna, &boris, &clara], &shared.context, 21);
}

#[test]
fn f10_an_op_that_is_gossiped_is_folded_and_shown_in_the_trace() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    eventually("ops come by gossip", ARRIVES_WITHIN, || {
        anna.cli(&["group", "settings", &shared.group, "--name", "friends"]).ok();
        thread::sleep(std::time::Duration::from_millis(100));
        let seen = steps(&boris, "f10");
        ["ops by gossip", "ops folded"].iter().all(|step| seen.iter().any(|seen| seen == step)).then_some(())
    });
    agree(&[&anna, &boris], &shared.group);
}

#[test]
fn f11_what_a_node_missed_is_repaired_in_both_directions() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let of_boris = me(&boris, &shared.group);
    anna.cli(&["member", "role", &shared.group, &of_boris, "admin"]).ok();
    becomes(&boris, &shared.group, &of_boris, Some("admin"));
    // Each decides something while the other is away.
    let (boris, _) = boris.stop();
    anna.cli(&["group", "settings", &shared.group, "--default-caps", "invite-members"]).ok();
    let (anna, _) = anna.stop();
    let boris = boris.start();
    boris.cli(&["member", "alias", &shared.group, &of_boris, "boris"]).ok();
    let anna = anna.start();
    agree(&[&anna, &boris], &shared.group);
    for node in [&anna, &boris] {
        let group = node.cli(&["group", "show", &shared.group]).ok();
        assert_eq!(group["defaultCapabilities"], json!(["invite-members"]));
        let row = node.cli(&["member", "ls", &shared.group]).ok();
        assert!(row.as_array().is_some_and(|rows| rows.iter().any(|row| row["alias"] == "boris")));
    }
    eventually("heartbeats are told and heard", ARRIVES_WITHIN * 2, || {
        let seen = [steps(&anna, "f11"), steps(&boris, "f11")].concat();
        let wanted = ["heartbeat", "what is missing is asked for", "a page"];
        wanted.iter().all(|step| seen.iter().any(|seen| seen == step)).then_some(())
    });
}

#[test]
fn f12_a_peer_that_subscribes_is_told_how_all_logs_stand() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let (boris, _) = boris.stop();
    set(&anna, &shared.context, "tea", "green");
    anna.cli(&["group", "settings", &shared.group, "--name", "renamed"]).ok();
    let boris = boris.start();
    equal(&[&anna, &boris], &shared.context, 2);
    agree(&[&anna, &boris], &shared.group);
    assert_eq!(boris.cli(&["group", "show", &shared.group]).ok()["name"], "renamed");
    eventually("subscribing is seen", ARRIVES_WITHIN, || {
        let seen = steps(&anna, "f12");
        ["subscribed", "how the log stands"].iter().all(|step| seen.iter().any(|seen| seen == step)).then_some(())
    });
}

#[test]
fn f12_who_joins_brings_the_name_of_its_node_and_is_known_by_it() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let of_boris = me(&boris, &shared.group);
    let alias = |member: &str| listed(&anna, &shared.group, member).map(|row| row["alias"].clone());
    assert_eq!(alias(&me(&anna, &shared.group)), Some("anna".into()));
    eventually("anna lists boris by name", ARRIVES_WITHIN, || (alias(&of_boris) == Some("boris".into())).then_some(()));
    anna.cli(&["member", "rm", &shared.group, "boris"]).ok();
    assert_eq!(alias(&of_boris), None);
}

#[test]
fn every_flow_of_a_shared_group_leaves_its_trail() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    set(&boris, &shared.context, "tea", "green");
    equal(&[&anna, &boris], &shared.context, 2);
    let of_boris = me(&boris, &shared.group);
    let secret =
        text(&anna.cli(&["context", "create", &shared.group, "--name", "secret", "--restricted"]).ok(), "contextId");
    eventually("boris lists it", ARRIVES_WITHIN, || {
        (boris.cli(&["context", "join", &secret]).status == Some(4)).then_some(())
    });
    anna.cli(&["group", "create", "--name", "team", "--parent", &shared.group]).ok();
    anna.cli(&["member", "caps", &shared.group, &of_boris, "create-contexts"]).ok();
    anna.cli(&["member", "role", &shared.group, &of_boris, "readonly"]).ok();
    anna.cli(&["member", "rm", &shared.group, &of_boris]).ok();
    becomes(&boris, &shared.group, &of_boris, None);
    for (node, flow, step) in [
        (&anna, "f01", "context registered"),
        (&anna, "f01", "op published"),
        (&boris, "f01", "context listed"),
        (&boris, "f02", "method executed"),
        (&boris, "f02", "delta published"),
        (&boris, "f03", "claim presented"),
        (&anna, "f03", "claim countersigned"),
        (&boris, "f04", "identity bound"),
        (&boris, "f05", "bundle asked for"),
        (&boris, "f05", "bundle held"),
        (&boris, "f07", "membership proven"),
        (&boris, "f08", "bundle on its way"),
        (&anna, "f09", "deltas applied"),
        (&anna, "f03", "member listed"),
        (&anna, "f15", "subgroup begun"),
        (&boris, "f15", "subgroup followed"),
        (&anna, "f16", "role set"),
        (&anna, "f17", "capabilities set"),
        (&boris, "f17", "member changed"),
        (&anna, "f18", "member removed"),
        (&boris, "f18", "member gone"),
        (&boris, "f18", "identity ended"),
        (&anna, "f18", "key epoch started"),
        (&boris, "f19", "kept out of what is restricted"),
    ] {
        let seen = steps(node, flow);
        assert!(seen.iter().any(|seen| seen == step), "{flow} lacks `{step}`: {seen:?}");
    }
    let drawn = boris.home().command().args(["trace", "f03"]).output().expect("runs");
    let drawn = String::from_utf8_lossy(&drawn.stdout);
    assert!(drawn.contains("claim presented") && drawn.contains("->"), "{drawn}");
}
