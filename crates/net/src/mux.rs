//! Yamux over an encrypted TCP connection, with a bounded receive window.
//!
//! libp2p's own wrapper leaves Yamux at its default of 1 GiB of receive window a connection and has
//! no setting for it; this one is the same adapter with the bound.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};

/// Streams at once on a connection: gossip, identify, ping and the lanes need about ten.
pub(super) const STREAMS_MAX: usize = 64;

/// Bytes that a peer may have in flight to us on one connection: the 256 KiB that Yamux promises to
/// each of [`STREAMS_MAX`] streams, and as much again for the streams of long, fast paths to grow.
const RECEIVE_WINDOW_BYTES_MAX: usize = 2 * STREAMS_MAX * 256 * 1024;

/// Inbound streams that wait to be taken up; as many as Yamux lets a peer open unacknowledged.
const PENDING_INBOUND_MAX: usize = 256;

/// Negotiates `/yamux/1.0.0`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Upgrade;

impl Upgrade {
    fn start<C: AsyncRead + AsyncWrite + Unpin>(io: C, mode: yamux::Mode) -> Muxer<C> {
        let mut config = yamux::Config::default();
        // In this order: each setter checks the window against the number of streams.
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(RECEIVE_WINDOW_BYTES_MAX));
        Muxer { connection: yamux::Connection::new(io, config, mode), pending: VecDeque::new(), waker: None }
    }
}

impl UpgradeInfo for Upgrade {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Upgrade {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Self::start(io, yamux::Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Upgrade {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Self::start(io, yamux::Mode::Client)))
    }
}

/// A multiplexed connection.
#[derive(Debug)]
pub(super) struct Muxer<C> {
    connection: yamux::Connection<C>,
    /// Streams that arrived while the connection was driven for another reason.
    pending: VecDeque<yamux::Stream>,
    waker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> Muxer<C> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        match std::task::ready!(self.connection.poll_next_inbound(cx)) {
            Some(result) => Poll::Ready(result.map_err(into_io)),
            None => Poll::Ready(Err(into_io(yamux::ConnectionError::Closed))),
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        if let Some(stream) = self.pending.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Poll::Ready(result) = self.poll_next(cx) {
            return Poll::Ready(result);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.connection.poll_new_outbound(cx).map_err(into_io)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_close(cx).map_err(into_io)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let stream = std::task::ready!(self.poll_next(cx))?;
        // A stream beyond the bound is dropped, which resets it at the peer.
        if self.pending.len() < PENDING_INBOUND_MAX {
            self.pending.push_back(stream);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
        // Yamux makes progress only while it is polled, and it stopped to hand out the stream.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn into_io(error: yamux::ConnectionError) -> io::Error {
    if let yamux::ConnectionError::Io(error) = error {
        return error;
    }
    io::Error::other(error)
}
