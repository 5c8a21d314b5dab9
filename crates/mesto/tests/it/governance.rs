//! Flows F04, F16, F17 and F18: who is in a group as what, and who may see which context.

use serde_json::{Value, json};

use crate::network::{begin, connected, equal, get, join, listed, me, set, shown, ticket};
use crate::node::{ARRIVES_WITHIN, Node, Stage, eventually, number, text};

/// Waits until a node lists a member so.
#[track_caller]
fn becomes(node: &Node, group: &str, member: &str, what: &str, so: impl Fn(Option<&Value>) -> bool) {
    eventually(what, ARRIVES_WITHIN, || so(listed(node, group, member).as_ref()).then_some(()));
}

#[test]
fn f16_a_reader_is_added_by_a_card_and_what_it_calls_leaves_nothing() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let card = boris.cli(&["whoami", "--new"]).ok();
    assert_eq!(card["peerId"], boris.peer_id());
    let (text_of_card, member) = (text(&card, "card"), text(&card, "memberId"));
    anna.cli(&["member", "add", &shared.group, "mestocard1aaaa"]).fails(1, "InvalidCard");
    anna.cli(&["member", "add", &shared.group, "nobody"]).fails(5, "MemberNotFound");
    let row = anna.cli(&["member", "add", &shared.group, &text_of_card, "--role", "readonly"]).ok();
    assert_eq!(
        (&row["role"], &row["memberId"], &row["inherited"]),
        (&json!("readonly"), &json!(member), &json!(false))
    );
    assert_eq!(row["origin"], shared.group.as_str());
    anna.cli(&["member", "add", &shared.group, &text_of_card]).fails(2, "InvalidArgument");

    // Nobody told boris which group it is: a member's node does.
    eventually("boris is in the group", ARRIVES_WITHIN, || {
        boris.cli(&["group", "ls"]).ok().as_array()?.iter().find(|group| group["role"] == "readonly").map(drop)
    });
    assert_eq!(me(&boris, &shared.group), member);
    set(&anna, &shared.context, "tea", "green");
    boris.cli(&["context", "join", &shared.context, "--wait"]).ok();
    equal(&[&anna, &boris], &shared.context, 2);
    assert_eq!(get(&boris, &shared.context, "tea"), "green");

    let before = shown(&boris, &shared.context);
    let called = boris.cli(&["call", &shared.context, "set", "key=tea", "value=black"]).ok();
    assert_eq!((&called["committed"], &called["deltaId"]), (&json!(false), &Value::Null));
    assert_eq!(shown(&boris, &shared.context), before);
    assert_eq!(get(&boris, &shared.context, "tea"), "green");

    anna.cli(&["member", "role", &shared.group, &member, "member"]).ok();
    eventually("boris may write", ARRIVES_WITHIN, || {
        let called = boris.cli(&["call", &shared.context, "set", "key=tea", "value=black"]).ok();
        (called["committed"] == true).then_some(())
    });
    equal(&[&anna, &boris], &shared.context, 3);
}

#[test]
fn f17_capabilities_give_exactly_what_they_say() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let member = me(&boris, &shared.group);
    boris.cli(&["context", "create", &shared.group]).fails(4, "Forbidden");
    boris.cli(&["invite", &shared.group]).fails(4, "Forbidden");
    boris.cli(&["member", "caps", &shared.group, &member, "create-contexts"]).fails(4, "Forbidden");
    anna.cli(&["member", "caps", &shared.group, &member, "fly"]).fails(2, "InvalidArgument");

    anna.cli(&["member", "alias", &shared.group, &member, "boris"]).ok();
    let row = anna.cli(&["member", "caps", &shared.group, "boris", "create-contexts,join-open-contexts"]).ok();
    assert_eq!(
        (&row["alias"], &row["capabilities"]),
        (&json!("boris"), &json!(["create-contexts", "join-open-contexts"]))
    );
    becomes(&boris, &shared.group, &member, "the right arrives", |row| {
        row.is_some_and(|row| row["capabilities"][0] == "create-contexts")
    });
    boris.cli(&["context", "create", &shared.group, "--name", "notes"]).ok();
    boris.cli(&["invite", &shared.group]).fails(4, "Forbidden");
    boris.cli(&["group", "settings", &shared.group, "--name", "mine"]).fails(4, "Forbidden");

    anna.cli(&["group", "settings", &shared.group, "--name", "ours", "--default-caps", "invite-members"]).ok();
    let group = anna.cli(&["group", "show", "ours"]).ok();
    assert_eq!(group["defaultCapabilities"], json!(["invite-members"]));
    anna.cli(&["member", "caps", &shared.group, "boris"]).ok();
    becomes(&boris, &shared.group, &member, "the right goes", |row| {
        row.is_some_and(|row| row["capabilities"] == json!([]))
    });
    boris.cli(&["context", "create", &shared.group]).fails(4, "Forbidden");
}

#[test]
fn f03_a_revoked_invitation_lets_nobody_in() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = begin(&anna).group;
    let invited = anna.cli(&["invite", &group, "--role", "readonly", "--uses", "2"]).ok();
    let id = text(&invited, "invitationId");
    let listed = anna.cli(&["invite", "ls", &group]).ok();
    let row =
        listed.as_array().and_then(|rows| rows.iter().find(|row| row["invitationId"] == id.as_str())).expect("listed");
    assert_eq!(
        (&row["role"], &row["uses"], &row["used"], &row["revoked"]),
        (&json!("readonly"), &json!(2), &json!(0), &json!(false))
    );
    anna.cli(&["invite", "revoke", &group, "abcdefgh"]).fails(5, "InvitationNotFound");
    anna.cli(&["invite", "revoke", &group, &id[..12]]).ok();
    let error = boris.cli(&["join", &text(&invited, "ticket"), "--wait"]).fails(1, "JoinRefused");
    assert!(text(&error, "detail").contains("revoked"), "{error}");
    let again = boris.cli(&["join", &ticket(&anna, &group), "--wait"]).ok();
    assert_eq!(again["joined"], true);
}

#[test]
fn f18_who_is_removed_reads_and_writes_nothing_more_and_can_come_back() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    set(&boris, &shared.context, "by boris", "before");
    equal(&[&anna, &boris, &clara], &shared.context, 2);
    let member = me(&boris, &shared.group);

    anna.cli(&["member", "rm", &shared.group, &member]).ok();
    for node in [&anna, &boris, &clara] {
        becomes(node, &shared.group, &member, "boris is out", |row| row.is_none());
    }
    boris.cli(&["call", &shared.context, "set", "key=by boris", "value=after"]).fails(4, "Forbidden");
    set(&clara, &shared.context, "secret", "since then");
    let after = equal(&[&anna, &clara], &shared.context, 3);
    assert_eq!(number(&after, "voided"), 0, "what anna had seen of boris is kept");
    assert_eq!(get(&anna, &shared.context, "by boris"), "before");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(get(&boris, &shared.context, "secret"), Value::Null);

    anna.cli(&["member", "add", &shared.group, &member]).ok();
    becomes(&boris, &shared.group, &member, "boris is back", |row| row.is_some());
    eventually("boris writes again", ARRIVES_WITHIN, || {
        let called = boris.cli(&["call", &shared.context, "set", "key=by boris", "value=again"]);
        (called.status == Some(0)).then_some(())
    });
    equal(&[&anna, &boris, &clara], &shared.context, 4);
    assert_eq!(get(&boris, &shared.context, "secret"), "since then", "a new key opens the past");
}

#[test]
fn f18_what_a_removed_member_wrote_while_cut_off_is_void_everywhere() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    set(&boris, &shared.context, "tea", "green");
    equal(&[&anna, &boris, &clara], &shared.context, 2);
    let member = me(&boris, &shared.group);
    let (anna, _) = anna.stop();
    let (clara, _) = clara.stop();
    set(&boris, &shared.context, "tea", "poisoned");
    set(&boris, &shared.context, "coffee", "poisoned");
    let (boris, _) = boris.stop();

    let anna = anna.start();
    anna.cli(&["member", "rm", &shared.group, &member]).ok();
    let (clara, boris) = (clara.start(), boris.start());
    becomes(&clara, &shared.group, &member, "clara learns it", |row| row.is_none());
    becomes(&boris, &shared.group, &member, "boris learns it", |row| row.is_none());
    for node in [&anna, &clara, &boris] {
        eventually("what boris wrote is void", ARRIVES_WITHIN, || {
            (number(&shown(node, &shared.context), "voided") == 2).then_some(())
        });
    }
    let after = equal(&[&anna, &clara, &boris], &shared.context, 2);
    assert_eq!(number(&after, "stateEntries"), 1);
    for node in [&anna, &clara, &boris] {
        assert_eq!(
            (get(node, &shared.context, "tea"), get(node, &shared.context, "coffee")),
            (json!("green"), Value::Null)
        );
    }
    let anna = anna.kill().start();
    assert_eq!(number(&shown(&anna, &shared.context), "voided"), 2, "verdicts outlive a crash");
}

#[test]
fn f18_leaving_is_everybodys_own_decision_but_not_the_owners() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    let member = me(&boris, &shared.group);
    anna.cli(&["group", "leave", &shared.group]).fails(4, "Forbidden");
    boris.cli(&["group", "rm", &shared.group]).fails(4, "Forbidden");
    boris.cli(&["group", "leave", &shared.group]).ok();
    becomes(&anna, &shared.group, &member, "boris has left", |row| row.is_none());
    set(&anna, &shared.context, "alone", "again");
    assert_eq!(number(&shown(&anna, &shared.context), "entries"), 2, "the next writer starts an epoch and goes on");
    anna.cli(&["group", "rm", &shared.group]).ok();
    assert_eq!(anna.cli(&["group", "show", &shared.group]).ok()["deleted"], true);
    anna.cli(&["call", &shared.context, "set", "key=k", "value=v"]).fails(4, "Forbidden");
    // The names are free again.
    for node in [&anna, &boris] {
        let next = begin(node);
        assert_ne!(next.group, shared.group);
        assert_eq!(node.cli(&["group", "show", "friends"]).ok()["groupId"], next.group.as_str());
        node.cli(&["call", "board", "set", "key=k", "value=v"]).ok();
        assert_eq!(get(node, &next.context, "k"), "v");
    }
}

#[test]
fn f16_a_reader_is_given_no_capability_that_would_wait_for_it_to_become_more() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    let card = text(&boris.cli(&["whoami", "--new"]).ok(), "card");
    for caps in ["manage-members", "join-open-contexts,create-contexts"] {
        let invite = ["invite", &shared.group, "--role", "readonly", "--caps", caps];
        anna.cli(&invite).fails(2, "InvalidArgument");
        anna.cli(&["member", "add", &shared.group, &card, "--role", "readonly", "--caps", caps])
            .fails(2, "InvalidArgument");
    }
    anna.cli(&["invite", &shared.group, "--role", "readonly", "--caps", "join-open-contexts"]).ok();
    anna.cli(&["member", "add", &shared.group, &card, "--role", "readonly"]).ok();
}

#[test]
fn f04_a_restricted_context_is_for_its_allowlist() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    join(&anna, &clara, &shared);
    let (of_boris, of_clara) = (me(&boris, &shared.group), me(&clara, &shared.group));
    let secret =
        text(&anna.cli(&["context", "create", &shared.group, "--name", "secret", "--restricted"]).ok(), "contextId");
    set(&anna, &secret, "plan", "b");
    eventually("boris lists it", ARRIVES_WITHIN, || {
        let listed = boris.cli(&["context", "ls", &shared.group]).ok();
        listed
            .as_array()?
            .iter()
            .find(|context| context["contextId"] == secret.as_str() && context["visibility"] == "restricted")
            .map(drop)
    });
    boris.cli(&["context", "join", "secret"]).fails(4, "Forbidden");
    boris.cli(&["context", "allow", "secret", &of_boris]).fails(4, "Forbidden");
    anna.cli(&["context", "allow", "secret", &of_boris]).ok();
    eventually("boris may join", ARRIVES_WITHIN, || {
        (boris.cli(&["context", "join", "secret", "--wait"]).status == Some(0)).then_some(())
    });
    equal(&[&anna, &boris], &secret, 2);
    assert_eq!(get(&boris, &secret, "plan"), "b");
    clara.cli(&["context", "join", "secret"]).fails(4, "Forbidden");
    let seats = anna.cli(&["context", "members", "secret"]).ok();
    let seat =
        |member: &str| seats.as_array().and_then(|seats| seats.iter().find(|seat| seat["memberId"] == member).cloned());
    assert!(seat(&of_boris).is_some_and(|seat| seat["writes"] == true && seat["allowed"] == true));
    assert_eq!(seat(&of_clara), None);

    anna.cli(&["context", "disallow", "secret", &of_boris]).ok();
    eventually("boris is locked out", ARRIVES_WITHIN, || {
        (boris.cli(&["call", "secret", "set", "key=plan", "value=c"]).status == Some(4)).then_some(())
    });
    set(&anna, &secret, "plan", "d");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(get(&boris, &secret, "plan"), "b", "what was written since then is not for boris");
    anna.cli(&["context", "visibility", "secret", "open"]).ok();
    eventually("clara may join", ARRIVES_WITHIN, || {
        (clara.cli(&["context", "join", "secret", "--wait"]).status == Some(0)).then_some(())
    });
    // It is ready once it holds what some member holds, which may be Boris, who was behind himself.
    equal(&[&anna, &boris, &clara], &secret, 3);
    assert_eq!(get(&boris, &secret, "plan"), "d", "what was withheld comes once it is open to all");
    assert_eq!(get(&clara, &secret, "plan"), "d");
    anna.cli(&["context", "rm", "secret"]).ok();
    eventually("it is gone", ARRIVES_WITHIN, || {
        let listed = clara.cli(&["context", "ls", &shared.group]).ok();
        listed.as_array()?.iter().all(|context| context["contextId"] != secret.as_str()).then_some(())
    });
}

#[test]
fn f04_who_left_a_context_can_join_it_again() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    set(&boris, &shared.context, "tea", "green");
    equal(&[&anna, &boris], &shared.context, 2);
    boris.cli(&["context", "leave", &shared.context]).ok();
    boris.cli(&["call", &shared.context, "get", "key=tea"]).fails(1, "NotJoined");
    set(&anna, &shared.context, "tea", "black");
    boris.cli(&["context", "join", &shared.context, "--wait"]).ok();
    connected(&anna, &boris);
    set(&boris, &shared.context, "coffee", "none");
    equal(&[&anna, &boris], &shared.context, 4);
    assert_eq!(get(&boris, &shared.context, "tea"), "black");
}
