//! What happens in a flow, arrow by arrow, so that a flow that really happened can be shown as a diagram.

use mesto_governance::{BlobId, ContextId, GroupId};
use mesto_oplog::{EntryId, LogId, PublicKey};
use mesto_sync::Peer;

use crate::step::{Effect, Report};

/// One arrow of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// `f01` to `f23`.
    pub flow: &'static str,
    /// What was done.
    pub step: &'static str,
    /// Between whom.
    pub arrow: Arrow,
    /// What it was about.
    pub about: About,
}

/// Between whom something went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrow {
    /// It happened within this node.
    Here,
    /// This node said it to a peer.
    To(Peer),
    /// A peer said it to this node.
    From(Peer),
    /// This node said it to whoever listens.
    ToAll,
}

/// What a step was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// A group.
    Group(GroupId),
    /// A context.
    Context(ContextId),
    /// A log, of a group or a context.
    Log(LogId),
    /// An op or a delta.
    Entry(EntryId),
    /// A member or an identity.
    Key(PublicKey),
    /// A bundle.
    Blob(BlobId),
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Group(id) => write!(f, "{id}"),
            Self::Context(id) => write!(f, "{id}"),
            Self::Log(id) => write!(f, "{id}"),
            Self::Entry(id) => write!(f, "{id}"),
            Self::Key(id) => write!(f, "{id}"),
            Self::Blob(id) => write!(f, "{id}"),
        }
    }
}

macro_rules! about {
    ($($id:ty => $kind:ident),*) => {$(
        impl From<$id> for About {
            fn from(id: $id) -> Self {
                Self::$kind(id)
            }
        }
    )*};
}
about!(GroupId => Group, ContextId => Context, LogId => Log, EntryId => Entry, PublicKey => Key, BlobId => Blob);

impl Flow {
    /// A step within this node.
    pub(crate) fn here(flow: &'static str, step: &'static str, about: impl Into<About>) -> Report {
        Report::Flow(Self { flow, step, arrow: Arrow::Here, about: about.into() })
    }

    /// Something said to a peer.
    pub(crate) fn to(flow: &'static str, step: &'static str, peer: Peer, about: impl Into<About>) -> Report {
        Report::Flow(Self { flow, step, arrow: Arrow::To(peer), about: about.into() })
    }

    /// Something that a peer said.
    pub(crate) fn from(flow: &'static str, step: &'static str, peer: Peer, about: impl Into<About>) -> Report {
        Report::Flow(Self { flow, step, arrow: Arrow::From(peer), about: about.into() })
    }

    /// Something said to whoever listens.
    pub(crate) fn to_all(flow: &'static str, step: &'static str, about: impl Into<About>) -> Report {
        Report::Flow(Self { flow, step, arrow: Arrow::ToAll, about: about.into() })
    }
}

impl From<Report> for Effect {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}
