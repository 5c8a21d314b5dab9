//! How a node begins and ends.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use serde_json::{Value, json};

use crate::network::{begin, equal, get, join, set};
use crate::node::{PATIENCE, Ran, Stage, eventually, free_port, number, signal, text, wait_for_end};

#[test]
fn a_node_tells_where_it_is_and_ends_cleanly_when_told_to() {
    for name in ["-TERM", "-INT"] {
        let stage = Stage::of(1);
        let node = stage.start("node");
        let info = node.home().folder().join("run/node.json");
        let told: Value = serde_json::from_slice(&fs::read(&info).expect("it is there")).expect("JSON");
        assert_eq!(told["pid"], node.pid());
        assert_eq!((&told["api"], &told["peerId"]), (&json!(node.api()), &json!(node.peer_id())));
        assert_eq!(told["listen"], json!(node.listen()));
        assert!(node.listen().iter().all(|address| address.ends_with(node.peer_id())), "{told}");
        let status = node.cli(&["status"]).ok();
        assert_eq!((&status["peerId"], &status["name"]), (&told["peerId"], &json!("node")));

        let (home, status) = node.stop_by(name);
        assert_eq!(status.code(), Some(0), "{name}");
        assert!(!info.exists(), "{name}");
        home.cli(&["status"]).fails(3, "NotReachable");
    }
}

#[test]
fn a_node_ends_although_somebody_listens_to_its_events() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let mut events = node.http().events("/sse", &[]);
    events.next();
    let idle = node.http();
    let (_, status) = node.stop();
    assert_eq!(status.code(), Some(0));
    drop(idle);
}

#[test]
fn a_node_that_starts_again_has_everything() {
    let stage = Stage::of(2);
    let (anna, boris) = (stage.start("anna"), stage.start("boris"));
    let shared = begin(&anna);
    join(&anna, &boris, &shared);
    set(&anna, &shared.context, "tea", "green");
    equal(&[&anna, &boris], &shared.context, 2);
    let file = stage.path("file");
    fs::write(&file, "bytes").expect("written");
    anna.cli(&["blob", "put", file.to_str().expect("text")]).ok();
    let commands: [&[&str]; 8] = [
        &["context", "show", "board"],
        &["context", "ls"],
        &["group", "show", "friends"],
        &["member", "ls", "friends"],
        &["app", "ls"],
        &["blob", "ls"],
        &["whoami", "friends"],
        &["config", "show"],
    ];
    let say = |home: &crate::node::Home| commands.map(|command| home.cli(command).ok());
    let before = say(anna.home());
    let (anna, _) = anna.stop();
    let anna = anna.start();
    assert_eq!(say(anna.home()), before, "after a clean end");
    let anna = anna.kill().start();
    assert_eq!(say(anna.home()), before, "after a crash");

    assert_eq!(get(&anna, &shared.context, "tea"), "green");
    set(&anna, &shared.context, "tea", "black");
    equal(&[&anna, &boris], &shared.context, 3);
    let log = anna.http().get(&format!("/admin-api/contexts/{}/log", shared.context)).data();
    let author = text(&before[0], "identity");
    let mut places: Vec<u64> = log
        .as_array()
        .expect("lines")
        .iter()
        .filter(|line| line["author"] == author.as_str())
        .map(|line| number(line, "seq"))
        .collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 3, "one chain, and no place in it twice: {log}");
}

#[test]
fn a_home_runs_one_node() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let error = node.cli(&["run"]).fails(1, "AlreadyRunning");
    assert!(text(&error, "detail").contains(&node.pid().to_string()), "{error}");
    node.cli(&["status"]).ok();
    node.cli(&["init"]).fails(1, "HomeExists");
    stage.bare("nothing").cli(&["run"]).fails(1, "HomeMissing");
}

#[test]
fn a_port_that_is_taken_is_told_by_name() {
    let stage = Stage::of(1);
    let home = stage.home("node");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = |args: &[&str]| -> Ran { home.cli(&[&["run"], args].concat()) };
    let error = run(&["--api-listen", &address]).fails(1, "AddressInUse");
    assert!(text(&error, "detail").contains(&address), "{error}");

    let port = free_port();
    let (tcp, udp) = (format!("/ip4/127.0.0.1/tcp/{port}"), format!("/ip4/127.0.0.1/udp/{port}/quic-v1"));
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
    run(&["--listen", &tcp]).fails(1, "AddressInUse");
    drop(taken);
    let _taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
    run(&["--listen", &udp]).fails(1, "AddressInUse");
    assert!(!home.folder().join("run/node.json").exists());
    home.start().cli(&["status"]).ok();
}

#[test]
fn a_second_signal_does_not_wait() {
    let stage = Stage::of(1);
    let home = stage.home("node");
    let mut child = home.command().arg("run").stderr(std::process::Stdio::null()).spawn().expect("it starts");
    eventually("the node runs", PATIENCE, || home.folder().join("run/node.json").exists().then_some(()));
    signal("-TERM", child.id());
    // It may have ended by now: then there is nobody to tell.
    let _ = std::process::Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .stderr(std::process::Stdio::null())
        .status();
    wait_for_end(&mut child);
    home.start().cli(&["status"]).ok();
}
