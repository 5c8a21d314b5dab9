//! Flow F03: becoming a member by a ticket.

use mesto_governance::ticket::Ticket;
use serde_json::{Value, json};

use crate::network::{begin, group, ticket};
use crate::node::{ARRIVES_WITHIN, Node, PATIENCE, Stage, eventually, number, text};

fn members(node: &Node, group: &str) -> Vec<String> {
    let members = node.cli(&["member", "ls", group]).ok();
    members.as_array().expect("a list").iter().map(|member| text(member, "memberId")).collect()
}

#[test]
fn f03_join_by_invitation_and_every_member_lists_the_new_one() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let group = group(&anna, "friends");
    let invited = anna.cli(&["invite", &group, "--uses", "2"]).ok();
    assert_eq!(text(&invited, "invitationId").len(), 52);
    assert!(text(&invited, "expiresAt").ends_with('Z'));
    let ticket = text(&invited, "ticket");

    let joined = boris.cli(&["join", &ticket, "--wait"]).ok();
    assert_eq!((&joined["groupId"], &joined["joined"], &joined["ready"]), (&json!(group), &json!(true), &json!(true)));
    assert_eq!(joined["contexts"], json!([]));
    clara.cli(&["join", &ticket, "--wait"]).ok();
    for node in [&anna, &boris, &clara] {
        eventually("all three are members", ARRIVES_WITHIN, || (members(node, &group).len() == 3).then_some(()));
    }
    assert!(members(&clara, &group).contains(&text(&joined, "memberId")));
    assert_eq!(boris.cli(&["whoami", "friends"]).ok()["memberId"], joined["memberId"]);
    let shown = |node: &Node| node.cli(&["group", "show", &group]).ok();
    let digest = text(&shown(&anna), "digest");
    for node in [&boris, &clara] {
        eventually("the logs are the same", ARRIVES_WITHIN, || {
            (shown(node)["digest"] == digest.as_str()).then_some(())
        });
    }
    assert_eq!((&shown(&boris)["role"], &shown(&boris)["keyHeld"]), (&json!("member"), &json!(true)));
    boris.cli(&["join", &ticket, "--wait"]).ok();
    assert_eq!(members(&anna, &group).len(), 3, "who is a member joins no second time");
}

#[test]
fn f03_a_ticket_lets_in_as_many_as_it_says() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let group = group(&anna, "friends");
    let ticket = ticket(&anna, &group);
    boris.cli(&["join", &ticket, "--wait"]).ok();
    let error = clara.cli(&["join", &ticket, "--wait"]).fails(1, "JoinRefused");
    assert!(text(&error, "detail").contains("used up"), "{error}");
    assert_eq!(members(&anna, &group).len(), 2);
}

#[test]
fn f03_of_two_who_use_a_ticket_at_the_same_time_one_gets_in() {
    let stage = Stage::of(3);
    let (anna, boris, clara) = (stage.start("anna"), stage.start("boris"), stage.start("clara"));
    let group = group(&anna, "friends");
    let ticket = ticket(&anna, &group);
    let statuses = std::thread::scope(|scope| {
        let joins = [&boris, &clara].map(|node| scope.spawn(|| node.cli(&["join", &ticket, "--wait"]).status));
        joins.map(|join| join.join().expect("no panic"))
    });
    assert!(matches!(statuses, [Some(0), Some(1)] | [Some(1), Some(0)]), "{statuses:?}");
    assert_eq!(members(&anna, &group).len(), 2);
}

#[test]
fn f03_expired_altered_and_foreign_tickets_let_nobody_in() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let group = group(&anna, "friends");

    let expired = text(&anna.cli(&["invite", &group, "--expires", "1ms"]).ok(), "ticket");
    boris.cli(&["join", &expired]).fails(1, "TicketExpired");

    let good = ticket(&anna, &group);
    let middle = good.len() / 2;
    let other = if good[middle..].starts_with('a') { "b" } else { "a" };
    let altered = format!("{}{other}{}", &good[..middle], &good[middle + 1..]);
    for bad in [altered.as_str(), &good[..middle], "mesto1", "hello", "", &format!("{good}aa")] {
        boris.cli(&["join", bad]).fails(1, "InvalidTicket");
    }

    // Well-formed, but about an invitation that nobody made.
    let mut ticket: Ticket = good.parse().expect("a ticket");
    ticket.invitation = mesto_governance::InvitationId::from_bytes([9; 32]);
    let error =
        boris.cli(&["join", &ticket.to_text().expect("text"), "--wait", "--timeout", "2s"]).fails(6, "TimedOut");
    assert!(text(&error, "detail").contains("no member has let this node in"), "{error}");
    assert_eq!(members(&anna, &group).len(), 1);

    // With the right name of the invitation, but without its secret.
    let clara_group = begin(&boris).group;
    assert_ne!(clara_group, group);
    let mut ticket: Ticket = good.parse().expect("a ticket");
    ticket.secret = [9; 32];
    boris.cli(&["join", &ticket.to_text().expect("text"), "--wait", "--timeout", "10s"]).fails(1, "JoinRefused");
    assert_eq!(members(&anna, &group).len(), 1);
}

#[test]
fn f03_a_join_while_the_inviter_is_down_completes_by_itself() {
    let stage = Stage::of(2);
    let anna = stage.start("anna");
    let group = begin(&anna).group;
    let ticket = ticket(&anna, &group);
    let (anna, _) = anna.stop();

    let boris = stage.start("boris");
    let joined = boris.cli(&["join", &ticket, "--contexts", "all"]).ok();
    assert_eq!((&joined["groupId"], &joined["joined"]), (&json!(group), &json!(false)));
    boris.cli(&["join", &ticket, "--wait", "--timeout", "1s"]).fails(6, "TimedOut");
    assert_eq!(number(&boris.cli(&["status"]).ok(), "pendingJoins"), 1);
    let boris = boris.kill().start();
    assert_eq!(number(&boris.cli(&["status"]).ok(), "pendingJoins"), 1, "it is kept");

    let anna = anna.start();
    eventually("the join is complete", PATIENCE, || {
        let contexts = boris.cli(&["context", "ls"]).ok();
        let ready = contexts.as_array()?.iter().any(|context| context["ready"] == Value::Bool(true));
        ready.then_some(())
    });
    assert_eq!(members(&anna, &group), members(&boris, &group));
    assert_eq!(number(&boris.cli(&["status"]).ok(), "pendingJoins"), 0);
}
