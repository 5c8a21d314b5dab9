//! The transports: TCP with Noise and Yamux, QUIC, and names resolved by the system's resolver.

use std::io;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, Transport as _, dns, noise, quic, tcp};

use super::address;
use super::error::NetError;
use super::mux;

/// From the first packet to an authenticated connection. Five round trips of a satellite link fit
/// twice; a dead address must not hold up the next one for longer.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(6);

/// How long a silent QUIC connection lives, in milliseconds (it is kept alive at half of that). A
/// peer that was killed says nothing, so this bounds how long we take it for connected.
const QUIC_IDLE_MS_MAX: u32 = 8_000;

/// Bytes in flight to us on one QUIC stream, and on one connection: as for Yamux in [`mux`].
const QUIC_STREAM_BYTES_MAX: u32 = 4 * 1024 * 1024;
const QUIC_CONNECTION_BYTES_MAX: u32 = 16 * 1024 * 1024;

type Muxed = Boxed<(PeerId, StreamMuxerBox)>;

/// Builds the transport of a node.
pub(super) fn build(keypair: &Keypair) -> Result<Muxed, NetError> {
    match dns::tokio::Transport::system(sockets(keypair)?) {
        Ok(named) => Ok(named.boxed()),
        Err(error) => {
            // A machine without a resolver still reaches literal addresses. Falling back to a public
            // resolver would tell a third party whom we talk to.
            tracing::warn!(%error, "no system resolver: only literal IP addresses can be dialled");
            sockets(keypair)
        }
    }
}

/// Refuses addresses that somebody else listens on already.
///
/// libp2p listens on TCP with `SO_REUSEPORT`, with which a second node of the same user would share
/// the port without an error and take half of the first one's connections.
pub(super) fn check_free(listen: &[Multiaddr]) -> Result<(), NetError> {
    for listen in listen {
        let Some((ip, port)) = address::socket(listen) else { continue };
        // A wildcard IPv6 probe would be dual-stack and collide with our own IPv4 listener.
        if port == 0 || (ip.is_ipv6() && ip.is_unspecified()) {
            continue;
        }
        let probe = match address::transport(listen) {
            Some(address::Transport::Tcp) => std::net::TcpListener::bind((ip, port)).map(drop),
            Some(address::Transport::Quic) => std::net::UdpSocket::bind((ip, port)).map(drop),
            None => Ok(()),
        };
        if let Err(source) = probe {
            return Err(listen_error(listen, source));
        }
    }
    Ok(())
}

/// The typed error of a listener that could not start.
pub(super) fn listen_error(address: &Multiaddr, source: io::Error) -> NetError {
    if source.kind() == io::ErrorKind::AddrInUse {
        NetError::AddressInUse { address: address.clone() }
    } else {
        NetError::Listen { address: address.clone(), source }
    }
}

fn sockets(keypair: &Keypair) -> Result<Muxed, NetError> {
    let noise = noise::Config::new(keypair).map_err(|error| NetError::Identity(error.to_string()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(mux::Upgrade)
        .timeout(HANDSHAKE_DEADLINE)
        .boxed();

    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE_DEADLINE;
    config.max_idle_timeout = QUIC_IDLE_MS_MAX;
    config.keep_alive_interval = Duration::from_millis(u64::from(QUIC_IDLE_MS_MAX / 2));
    config.max_concurrent_stream_limit = mux::STREAMS_MAX as u32;
    config.max_stream_data = QUIC_STREAM_BYTES_MAX;
    config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
    let quic = quic::tokio::Transport::new(config)
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .boxed();

    Ok(tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed())
}
