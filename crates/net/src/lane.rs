//! One lane to one peer: length-prefixed frames over a duplex stream, with a bounded queue out and
//! credit in.
//!
//! A lane lives from [`NetEvent::LaneOpened`] to [`NetEvent::LaneReset`]; both, and all frames
//! between, are emitted by the lane's own task, so that their order is right by construction.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::io::{BufReader, ReadHalf, WriteHalf};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::PeerId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};

use super::counters::Counters;
use super::error::{LaneResetReason, SendError};
use super::{FRAME_BYTES_MAX, Lane, NetEvent};

/// Frames that wait to be sent on one lane. Small frames are what a burst consists of; a thousand of
/// them is a second of traffic at the rate at which a node can make them durable.
pub(super) const QUEUE_FRAMES_MAX: usize = 1024;

/// Bytes that wait to be sent on one lane: a few frames of the largest kind, so that a sender that is
/// paced by the queue keeps the connection busy.
pub(super) const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of received frames of one lane that the consumer has not released yet.
pub(super) const INBOUND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a frame costs at least of [`INBOUND_BYTES_MAX`], so that tiny frames are bounded in number.
const INBOUND_FRAME_COST_MIN: usize = 4 * 1024;

/// From the first byte of a frame to its last. The largest frame passes at 20 KiB/s.
const FRAME_DEADLINE: Duration = Duration::from_secs(60);

/// Frames up to this size are gathered into one write.
const GATHER_BYTES_MAX: usize = 64 * 1024;

/// A frame's memory grows by this much as its bytes arrive, so that an announced length costs nothing.
const READ_STEP_BYTES: usize = 256 * 1024;

/// The length of the prefix: a `u32`, big-endian.
const PREFIX_BYTES: usize = 4;

/// The right to have received a frame. Reading of the lane pauses while the frames whose credit has
/// not been dropped hold more than [`INBOUND_BYTES_MAX`] bytes.
#[derive(Debug)]
pub struct Credit {
    _permit: OwnedSemaphorePermit,
}

/// A frame that waits, and its share of the queue's bytes.
#[derive(Debug)]
struct Queued {
    frame: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

/// The sending end of an open lane.
#[derive(Clone, Debug)]
pub(super) struct LaneSender {
    epoch: u64,
    queue: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    reset: Arc<ResetSignal>,
}

impl LaneSender {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Queues a frame or, when the queue is full, resets the lane.
    pub(super) fn send(&self, frame: Vec<u8>) -> Result<(), SendError> {
        let permits = checked_size(&frame)?;
        let permit = match Arc::clone(&self.bytes).try_acquire_many_owned(permits) {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => return Err(self.overflow()),
            Err(TryAcquireError::Closed) => return Err(SendError::NotOpen),
        };
        match self.queue.try_send(Queued { frame, _permit: permit }) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(self.overflow()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SendError::NotOpen),
        }
    }

    /// Queues a frame as soon as there is room.
    pub(super) async fn send_paced(&self, frame: Vec<u8>) -> Result<(), SendError> {
        let permits = checked_size(&frame)?;
        let permit = Arc::clone(&self.bytes).acquire_many_owned(permits).await;
        let queued = Queued { frame, _permit: permit.map_err(|_| SendError::NotOpen)? };
        self.queue.send(queued).await.map_err(|_| SendError::NotOpen)
    }

    /// Ends the lane.
    pub(super) fn reset(&self, reason: LaneResetReason) {
        self.reset.set(reason);
    }

    /// Whether the lane is on its way out.
    pub(super) fn is_reset(&self) -> bool {
        self.reset.reason.get().is_some()
    }

    fn overflow(&self) -> SendError {
        self.reset.set(LaneResetReason::Overflow);
        SendError::Overflow
    }
}

fn checked_size(frame: &[u8]) -> Result<u32, SendError> {
    match u32::try_from(frame.len()) {
        Ok(bytes) if frame.len() <= FRAME_BYTES_MAX => Ok(bytes + PREFIX_BYTES as u32),
        _ => Err(SendError::FrameTooLarge { bytes: frame.len() }),
    }
}

/// Tells a lane's task to end, and why; the first reason stands.
#[derive(Debug, Default)]
struct ResetSignal {
    reason: OnceLock<LaneResetReason>,
    notify: Notify,
}

impl ResetSignal {
    fn set(&self, reason: LaneResetReason) {
        if self.reason.set(reason).is_ok() {
            self.notify.notify_one();
        }
    }

    async fn wait(&self) -> LaneResetReason {
        loop {
            if let Some(reason) = self.reason.get() {
                return reason.clone();
            }
            self.notify.notified().await;
        }
    }
}

/// An open stream that has not begun to carry frames.
pub(super) struct LaneTask<S> {
    peer: PeerId,
    lane: Lane,
    epoch: u64,
    stream: S,
    queue: mpsc::Receiver<Queued>,
    bytes: Arc<Semaphore>,
    reset: Arc<ResetSignal>,
    events: mpsc::Sender<NetEvent>,
    counters: Arc<Counters>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> LaneTask<S> {
    /// Makes the task and its sending end. `epoch` tells one life of a lane from the next.
    pub(super) fn new(
        peer: PeerId,
        lane: Lane,
        epoch: u64,
        stream: S,
        events: mpsc::Sender<NetEvent>,
        counters: Arc<Counters>,
    ) -> (Self, LaneSender) {
        let (sender, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
        let bytes = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        let reset = Arc::new(ResetSignal::default());
        let handle = LaneSender { epoch, queue: sender, bytes: Arc::clone(&bytes), reset: Arc::clone(&reset) };
        (Self { peer, lane, epoch, stream, queue, bytes, reset, events, counters }, handle)
    }

    /// Carries frames until the lane ends.
    pub(super) async fn run(self) -> (PeerId, Lane, u64) {
        let Self { peer, lane, epoch, stream, queue, bytes, reset, events, counters } = self;
        let identity = (peer, lane, epoch);
        if events.send(NetEvent::LaneOpened { peer, lane, epoch }).await.is_err() {
            return identity;
        }
        let (reader, writer) = stream.split();
        let inbound = Inbound { peer, lane, epoch, events: events.clone(), counters: Arc::clone(&counters) };
        let reason = tokio::select! {
            biased;
            reason = reset.wait() => reason,
            reason = inbound.read(reader) => reason,
            reason = write(writer, queue, &counters) => reason,
        };
        // Whoever waits for room in the queue learns that there is none to come.
        bytes.close();
        counters.lane_reset();
        tracing::debug!(%peer, ?lane, %reason, "lane reset");
        // A consumer that is gone needs no news.
        let _ = events.send(NetEvent::LaneReset { peer, lane, epoch, reason }).await;
        identity
    }
}

/// The receiving half of a lane.
struct Inbound {
    peer: PeerId,
    lane: Lane,
    epoch: u64,
    events: mpsc::Sender<NetEvent>,
    counters: Arc<Counters>,
}

impl Inbound {
    async fn read<S: AsyncRead + AsyncWrite + Unpin>(self, stream: ReadHalf<S>) -> LaneResetReason {
        let mut stream = BufReader::with_capacity(GATHER_BYTES_MAX, stream);
        let credit = Arc::new(Semaphore::new(INBOUND_BYTES_MAX));
        loop {
            let bytes = match read_frame(&mut stream, FRAME_DEADLINE).await {
                Ok(bytes) => bytes,
                Err(reason) => return reason,
            };
            self.counters.frame_in(bytes.len());
            let cost = bytes.len().max(INBOUND_FRAME_COST_MIN) as u32;
            let permit = Arc::clone(&credit).acquire_many_owned(cost).await;
            let permit = permit.expect("INVARIANT: this semaphore is never closed");
            let event = NetEvent::Frame {
                peer: self.peer,
                lane: self.lane,
                epoch: self.epoch,
                bytes,
                credit: Credit { _permit: permit },
            };
            if self.events.send(event).await.is_err() {
                return LaneResetReason::Shutdown;
            }
        }
    }
}

/// Reads one frame. Waiting for its first byte has no deadline, the rest of it has.
async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R, deadline: Duration) -> Result<Vec<u8>, LaneResetReason> {
    let mut first = [0_u8; 1];
    if stream.read(&mut first).await.map_err(read_error)? == 0 {
        return Err(LaneResetReason::ClosedByPeer);
    }
    let body = async {
        let mut rest = [0_u8; PREFIX_BYTES - 1];
        stream.read_exact(&mut rest).await.map_err(read_error)?;
        let ([a], [b, c, d]) = (first, rest);
        let announced = u32::from_be_bytes([a, b, c, d]);
        let length = announced as usize;
        if length > FRAME_BYTES_MAX {
            return Err(LaneResetReason::FrameTooLarge { bytes: announced });
        }
        let mut body = Vec::new();
        while body.len() < length {
            let filled = body.len();
            body.resize(length.min(filled + READ_STEP_BYTES), 0);
            let (_, fresh) = body.split_at_mut(filled);
            stream.read_exact(fresh).await.map_err(read_error)?;
        }
        Ok(body)
    };
    match tokio::time::timeout(deadline, body).await {
        Ok(result) => result,
        Err(_) => Err(LaneResetReason::FrameDeadline),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what else the operating system may say is told as it is")]
fn read_error(error: std::io::Error) -> LaneResetReason {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::UnexpectedEof => LaneResetReason::Truncated,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            LaneResetReason::ClosedByPeer
        }
        _ => LaneResetReason::Io(error.to_string()),
    }
}

/// Writes queued frames, several small ones at a time, and flushes when the queue runs empty.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: WriteHalf<S>,
    mut queue: mpsc::Receiver<Queued>,
    counters: &Counters,
) -> LaneResetReason {
    let mut gathered = Vec::with_capacity(GATHER_BYTES_MAX);
    // Frames count against the queue until their bytes are with the stream.
    let mut held = Vec::new();
    loop {
        let Some(mut next) = queue.recv().await else { return LaneResetReason::Requested };
        loop {
            counters.frame_out(next.frame.len());
            gathered.extend_from_slice(&(next.frame.len() as u32).to_be_bytes());
            let direct = if next.frame.len() <= GATHER_BYTES_MAX / 2 {
                gathered.extend_from_slice(&next.frame);
                Vec::new()
            } else {
                std::mem::take(&mut next.frame)
            };
            held.push(next);
            let more =
                if direct.is_empty() && gathered.len() < GATHER_BYTES_MAX { queue.try_recv().ok() } else { None };
            if let Some(more) = more {
                next = more;
                continue;
            }
            let written = async {
                stream.write_all(&gathered).await?;
                stream.write_all(&direct).await
            };
            if let Err(error) = written.await {
                return read_error(error);
            }
            gathered.clear();
            held.clear();
            match queue.try_recv() {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        if let Err(error) = stream.flush().await {
            return read_error(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    async fn read_one(bytes: &[u8]) -> Result<Vec<u8>, LaneResetReason> {
        read_frame(&mut Cursor::new(bytes.to_vec()), FRAME_DEADLINE).await
    }

    #[tokio::test]
    async fn a_frame_is_a_big_endian_length_and_its_bytes() {
        assert_eq!(read_one(&[0, 0, 0, 3, 7, 8, 9]).await, Ok(vec![7, 8, 9]));
        assert_eq!(read_one(&[0, 0, 0, 0]).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_stream_may_end_between_frames_only() {
        assert_eq!(read_one(&[]).await, Err(LaneResetReason::ClosedByPeer));
        assert_eq!(read_one(&[0, 0]).await, Err(LaneResetReason::Truncated));
        assert_eq!(read_one(&[0, 0, 0, 3, 7]).await, Err(LaneResetReason::Truncated));
    }

    #[tokio::test]
    async fn a_frame_above_the_limit_is_refused_before_it_is_read() {
        let announced = FRAME_BYTES_MAX as u32 + 1;
        let result = read_one(&announced.to_be_bytes()).await;
        assert_eq!(result, Err(LaneResetReason::FrameTooLarge { bytes: announced }));
    }

    #[tokio::test]
    async fn a_frame_that_stalls_meets_its_deadline() {
        // Five bytes of a frame of nine, and then silence.
        let mut stalled = Cursor::new(vec![0, 0, 0, 9, 1]).chain(Silence);
        let result = read_frame(&mut stalled, Duration::from_millis(1)).await;
        assert_eq!(result, Err(LaneResetReason::FrameDeadline));
    }

    #[test]
    fn a_full_queue_resets_the_lane_and_says_so() {
        let (events, _kept) = mpsc::channel(1);
        let stream = Cursor::new(Vec::new());
        let peer = PeerId::random();
        let (task, sender) = LaneTask::new(peer, Lane::Sync, 1, stream, events, Arc::default());
        for _ in 0..QUEUE_BYTES_MAX / FRAME_BYTES_MAX {
            assert_eq!(sender.send(vec![0; FRAME_BYTES_MAX - PREFIX_BYTES]), Ok(()));
        }
        assert_eq!(sender.send(vec![0; FRAME_BYTES_MAX]), Err(SendError::Overflow));
        assert_eq!(task.reset.reason.get(), Some(&LaneResetReason::Overflow));
        let bytes = FRAME_BYTES_MAX + 1;
        assert_eq!(sender.send(vec![0; bytes]), Err(SendError::FrameTooLarge { bytes }));
    }

    /// A stream that never has a byte.
    struct Silence;

    impl AsyncRead for Silence {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Pending
        }
    }
}
