//! Keeping the ports that the system once gave us.
//!
//! With port 0 the system chooses. Members remember where a node listened, so after a restart it takes the same
//! ports again if they are free; otherwise two nodes that restart together could not find each other.

use std::path::{Path, PathBuf};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The file under `run/`, one address a line.
const FILE: &str = "ports";
/// Longest file that is read, in bytes: many times what a node listens on.
const FILE_LEN_MAX: u64 = 64 * 1024;

fn file(home: &Path) -> PathBuf {
    home.join("run").join(FILE)
}

/// The addresses to listen on: those of `configured`, with the remembered port wherever it says 0.
pub(super) fn remembered(home: &Path, configured: &[Multiaddr]) -> Vec<Multiaddr> {
    let path = file(home);
    let is_small = std::fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_LEN_MAX);
    let text = if is_small { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
    let known: Vec<Multiaddr> = text.lines().filter_map(|line| line.parse().ok()).collect();
    configured
        .iter()
        .map(|wanted| {
            let same = |known: &&Multiaddr| port(wanted) == Some(0) && with_port(known, 0) == with_port(wanted, 0);
            let found = known.iter().find(same).and_then(port);
            found.map_or_else(|| wanted.clone(), |port| with_port(wanted, port))
        })
        .collect()
}

/// Remembers what was given. A home that cannot be written costs only the same ports next time.
pub(super) fn remember(home: &Path, configured: &[Multiaddr], given: &[Multiaddr]) {
    let chosen = configured.iter().filter(|wanted| port(wanted) == Some(0)).filter_map(|wanted| {
        // A wildcard address is given as the addresses of the interfaces: they share the port.
        let fits = |given: &&Multiaddr| shape(given) == shape(wanted);
        Some(with_port(wanted, given.iter().find(fits).and_then(port)?).to_string())
    });
    let text = chosen.collect::<Vec<_>>().join("\n");
    if let Err(error) = std::fs::write(file(home), text) {
        tracing::debug!(%error, "the ports were not remembered");
    }
}

fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

fn with_port(address: &Multiaddr, port: u16) -> Multiaddr {
    address
        .iter()
        .map(|part| match part {
            Protocol::Tcp(_) => Protocol::Tcp(port),
            Protocol::Udp(_) => Protocol::Udp(port),
            other => other,
        })
        .collect()
}

/// The names of an address's protocols, without what they carry.
fn shape(address: &Multiaddr) -> Vec<&'static str> {
    address.iter().map(|part| part.tag()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddress")).collect()
    }

    #[test]
    fn a_port_that_was_given_is_asked_for_again() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("run")).expect("a folder");
        let configured = addresses(&["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0", "/ip4/127.0.0.1/tcp/77"]);
        assert_eq!(remembered(home.path(), &configured), configured);
        let given = addresses(&["/ip4/127.0.0.1/udp/5001/quic-v1", "/ip4/192.0.2.1/tcp/5002", "/ip4/127.0.0.1/tcp/77"]);
        remember(home.path(), &configured, &given);
        let again = addresses(&["/ip4/127.0.0.1/udp/5001/quic-v1", "/ip4/0.0.0.0/tcp/5002", "/ip4/127.0.0.1/tcp/77"]);
        assert_eq!(remembered(home.path(), &configured), again);
    }
}
