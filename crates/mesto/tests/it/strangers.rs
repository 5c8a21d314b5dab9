//! Whoever is no member and means no good.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::json;

use crate::network::{begin, equal, get, join, set, shown};
use crate::node::{Node, Stage, number};

/// Where a node listens to peers over TCP and UDP: the same port.
fn peer_address(node: &Node) -> SocketAddr {
    let address = node.listen().iter().find(|address| address.contains("/tcp/")).expect("TCP is listened to");
    let port = address.split('/').nth(4).and_then(|port| port.parse().ok()).expect("a port");
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn noise(len: usize, seed: &str) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Sends bytes and reads what comes back, until the node hangs up or says nothing for a while.
fn send(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).expect("the port is open");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    // The node may hang up at any point: that is as good as any answer.
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 4096]);
}

#[test]
fn garbage_on_the_port_for_peers_changes_nothing() {
    let stage = Stage::of(2);
    let anna = stage.start("anna");
    let shared = begin(&anna);
    set(&anna, &shared.context, "tea", "green");
    let before = shown(&anna, &shared.context);
    let to = peer_address(&anna);

    let greeting = b"\x13/multistream/1.0.0\n";
    let proposal = [&greeting[..], b"\x07/noise\n"].concat();
    for (n, bytes) in [
        Vec::new(),
        vec![0; 65_536],
        vec![0xff; 65_536],
        noise(1 << 20, "a"),
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
        greeting.to_vec(),
        [&greeting[..], &noise(4096, "b")].concat(),
        proposal.clone(),
        [&proposal[..], &[0xff, 0xff], &noise(65_535, "c")].concat(),
        [&proposal[..], &[0, 32], &noise(32, "d")].concat(),
    ]
    .iter()
    .enumerate()
    {
        send(to, bytes);
        assert_eq!(shown(&anna, &shared.context), before, "after number {n}");
    }
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for n in 0..200 {
        let mut datagram = noise(1_200, &n.to_string());
        // The form of a first packet of QUIC, with something else inside.
        datagram[..5].copy_from_slice(&[0xc0 | (n % 64) as u8, 0, 0, 0, 1]);
        socket.send_to(&datagram, to).expect("sent");
    }

    // Connections that say nothing do not keep out those that do.
    let idle: Vec<_> = (0..100).map(|_| TcpStream::connect(to).expect("the port is open")).collect();
    assert_eq!(shown(&anna, &shared.context), before);
    let boris = stage.start("boris");
    join(&anna, &boris, &shared);
    set(&boris, &shared.context, "tea", "black");
    equal(&[&anna, &boris], &shared.context, 3);
    assert_eq!(get(&anna, &shared.context, "tea"), "black");
    drop(idle);
    let peers = anna.cli(&["peers"]).ok();
    assert_eq!(peers.as_array().map(Vec::len), Some(1), "{peers}");
    assert_eq!(number(&anna.cli(&["status"]).ok(), "parked"), 0);
}

#[test]
fn whoever_connects_without_being_a_member_learns_and_changes_nothing() {
    let stage = Stage::of(2);
    let (anna, mallory) = (stage.start("anna"), stage.start("mallory"));
    let shared = begin(&anna);
    set(&anna, &shared.context, "tea", "green");
    let before = shown(&anna, &shared.context);
    mallory.cli(&["connect", &anna.listen()[0]]).ok();
    mallory.cli(&["context", "join", &shared.context]).fails(5, "ContextNotFound");
    mallory.cli(&["sync", &shared.context]).fails(5, "ContextNotFound");
    mallory.cli(&["call", &shared.context, "set", "key=tea", "value=poison"]).fails(5, "ContextNotFound");
    assert_eq!(mallory.cli(&["group", "ls"]).ok(), json!([]));
    assert_eq!(mallory.cli(&["app", "ls"]).ok(), json!([]));
    assert_eq!(shown(&anna, &shared.context), before);
    assert_eq!(number(&anna.cli(&["group", "show", &shared.group]).ok(), "members"), 1);
}

#[test]
fn garbage_on_the_api_is_refused_and_the_api_goes_on() {
    let stage = Stage::of(1);
    let node = stage.start("node");
    let to: SocketAddr = node.api_address().parse().expect("an address");
    for bytes in [
        noise(65_536, "e"),
        b"GET".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(10_000)).into_bytes(),
        b"POST /jsonrpc HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n".to_vec(),
    ] {
        send(to, &bytes);
    }
    let mut http = node.http();
    let json_body = [("content-type", "application/json")];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (path, body) in [("/admin-api/groups", format!("{{\"name\":{deep}}}")), ("/jsonrpc", deep)] {
        let answer = http.request("POST", path, &json_body, body.as_bytes());
        assert!(
            answer.status < 500 && String::from_utf8_lossy(&answer.body).contains("invalid type"),
            "{path}: {answer:?}"
        );
    }
    // What is too long is refused by its announcement, before it is read.
    let large = [json_body[0], ("content-length", "2000000")];
    node.http().request("POST", "/admin-api/groups", &large, b"").problem(413, "PayloadTooLarge");
    assert_eq!(node.http().get("/admin-api/status").status, 200);
}
