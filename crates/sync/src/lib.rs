//! How two nodes stay in step: the messages that they exchange, and what each message answers.
//!
//! Two ways lead from node to node. *Gossip* ([`gossip`]) carries entries and heartbeats on one topic per log, and
//! passing messages ([`ephemeral`]) that are kept nowhere; all of it may be lost without harm. The *sync lane*
//! ([`message`]) is an ordered channel between two connected peers; over it they prove membership ([`handshake`]),
//! compare logs ([`compare`]) and fetch what is missing. The *blob lane* carries the bytes of bundles.
//!
//! The rules:
//!
//! 1. Nothing about a group is told to a peer that has not proven, for this very connection, that it holds the
//!    key of a member; who knows a group is found out by tags that reveal nothing to others.
//! 2. A summary (heads, count, root) can start a comparison and never changes state.
//! 3. Requests carry all that the answer depends on, so that the responder keeps no session state. A cut
//!    session goes on where it stopped, because the next request says what has arrived.
//! 4. Whoever asks sets the pace: an answer is one page, and the next page is asked for when it is processed.

pub mod compare;
pub mod ephemeral;
pub mod fragment;
pub mod gossip;
pub mod handshake;
pub mod message;

pub use compare::{Comparison, Estimate, Protocol, compare};
pub use ephemeral::{Ephemeral, EphemeralError, Saying};
pub use fragment::{Assembler, FragmentError, fragments};
pub use gossip::{Gossip, GossipError, Heartbeat};
pub use handshake::{Hello, Nonce, Peer, Proof, Tag};
pub use message::{Message, MessageError, Summary};
