//! From bytes to values that may travel inward. Pure and costly (signatures), so the shell does it on its
//! worker threads before a step.

use mesto_oplog::entry::{DecodeError, VerifyError};
use mesto_oplog::{Signed, Verified};
use mesto_sync::{Ephemeral, Gossip, GossipError, Heartbeat, Message, MessageError};

/// A message whose entries are verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedMessage {
    /// The message, without the entries of a page.
    pub message: Message,
    /// The entries of a page.
    pub entries: Vec<Verified>,
    /// Length of the message, in bytes.
    pub len: usize,
}

/// Gossip whose entries and signatures are verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckedGossip {
    /// New entries.
    Entries(Vec<Verified>),
    /// A member's summary.
    Heartbeat(Heartbeat),
    /// Something that is told once and kept nowhere.
    Ephemeral(Ephemeral),
}

/// Why bytes of a peer were refused. The peer is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Not a message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Not gossip.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// An entry in it is malformed.
    #[error(transparent)]
    Entry(#[from] DecodeError),
    /// An entry in it is not its author's.
    #[error(transparent)]
    Signature(#[from] VerifyError),
}

/// Checks a message of a lane.
///
/// # Errors
/// See [`CheckError`].
pub fn message(bytes: &[u8]) -> Result<CheckedMessage, CheckError> {
    message_by(bytes, entries)
}

/// Checks a message of a lane; `page` does of its entries what [`entries`] does, perhaps on several threads.
///
/// # Errors
/// See [`CheckError`].
pub fn message_by(
    bytes: &[u8],
    page: impl FnOnce(&[Vec<u8>]) -> Result<Vec<Verified>, CheckError>,
) -> Result<CheckedMessage, CheckError> {
    let mut message = Message::decode(bytes)?;
    let entries = match &mut message {
        Message::Page { entries, .. } => page(&std::mem::take(entries))?,
        Message::Hello(_)
        | Message::Proof(_)
        | Message::Summaries(_)
        | Message::Pull { .. }
        | Message::KeyPull { .. }
        | Message::KeyPage { .. }
        | Message::Join { .. }
        | Message::Joined { .. }
        | Message::Addresses { .. }
        | Message::BlobPull { .. }
        | Message::BlobChunk { .. }
        | Message::BlobAbsent { .. }
        | Message::Added { .. } => Vec::new(),
    };
    Ok(CheckedMessage { message, entries, len: bytes.len() })
}

/// Checks gossip.
///
/// # Errors
/// See [`CheckError`].
pub fn gossip(bytes: &[u8]) -> Result<CheckedGossip, CheckError> {
    Ok(match Gossip::decode(bytes)? {
        Gossip::Entries(entries) => CheckedGossip::Entries(self::entries(&entries)?),
        Gossip::Heartbeat(heartbeat) => CheckedGossip::Heartbeat(heartbeat),
        Gossip::Ephemeral(message) => CheckedGossip::Ephemeral(message),
    })
}

/// Verifies entries, each by itself.
///
/// # Errors
/// See [`CheckError`].
pub fn entries(entries: &[Vec<u8>]) -> Result<Vec<Verified>, CheckError> {
    entries.iter().map(|bytes| Ok(Signed::decode(bytes)?.verify()?)).collect()
}
