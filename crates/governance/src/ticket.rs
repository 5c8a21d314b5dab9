//! Tickets: an invitation as one text that can be pasted or shown as a QR code.
//!
//! The text is `mesto1` and then, in lower-case unpadded base32, the version (1 byte), the borsh encoding of the
//! [`Ticket`], and a checksum: the first four bytes of a BLAKE3 hash over what is before it. The checksum finds
//! typing mistakes; what keeps a ticket honest is that the group id is a hash and that claims are signed.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::SigningKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::action::{NAME_LEN_MAX, PEER_LEN_MAX};
use crate::id::{GroupId, InvitationId};

/// What every ticket begins with.
pub const TICKET_PREFIX: &str = "mesto1";
/// The version that this build reads and writes.
pub const TICKET_VERSION: u8 = 1;
/// Most addresses of one ticket: a machine has a handful.
pub const ADDRESSES_MAX: usize = 16;
/// Longest address, in bytes: a relayed multiaddress fits.
pub const ADDRESS_LEN_MAX: usize = 256;
/// Longest text, in characters: all fields at their largest, in base32.
pub const TICKET_TEXT_LEN_MAX: usize = 7680;
/// Domain of the checksum.
pub const CHECKSUM_CONTEXT: &str = "mesto 2026 ticket checksum v1";

const CHECKSUM_LEN: usize = 4;

/// An invitation, with all that a joiner needs; whoever holds it may join.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct Ticket {
    /// The group.
    #[zeroize(skip)]
    pub group: GroupId,
    /// The invitation.
    #[zeroize(skip)]
    pub invitation: InvitationId,
    /// The seed of the ticket's signing key.
    pub secret: [u8; 32],
    /// The inviter's network identity, in the bytes of the network layer, at most [`PEER_LEN_MAX`].
    #[zeroize(skip)]
    pub peer: Vec<u8>,
    /// Where the inviter listens, at most [`ADDRESSES_MAX`] of at most [`ADDRESS_LEN_MAX`] bytes.
    #[zeroize(skip)]
    pub addresses: Vec<String>,
    /// The group's name when the ticket was made, to show; at most [`NAME_LEN_MAX`] bytes.
    #[zeroize(skip)]
    pub group_name: String,
    /// Milliseconds since 1970.
    #[zeroize(skip)]
    pub expires_at_ms: u64,
}

/// Why a text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It does not begin with [`TICKET_PREFIX`].
    #[error("a ticket begins with `{TICKET_PREFIX}`")]
    NotATicket,
    /// Too short to be whole.
    #[error("the ticket is cut short: copy all of it")]
    Truncated,
    /// A later version of tickets.
    #[error("ticket version {0} is not known here (this build reads version {TICKET_VERSION}): update Mesto")]
    UnknownVersion(u8),
    /// Some character was changed, lost or added.
    #[error("the ticket was altered: copy it again")]
    Altered,
    /// Longer than any ticket.
    #[error("a ticket has at most {TICKET_TEXT_LEN_MAX} characters")]
    TooLong,
    /// A field over its bound.
    #[error("the ticket's `{0}` exceeds its bound")]
    OutOfBounds(&'static str),
}

impl Ticket {
    /// The ticket's signing key, which signs the claim.
    #[must_use]
    pub fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.secret)
    }

    /// The text form.
    ///
    /// # Errors
    /// [`TicketError::OutOfBounds`].
    pub fn to_text(&self) -> Result<String, TicketError> {
        self.check()?;
        let mut bytes = vec![TICKET_VERSION];
        self.serialize(&mut bytes).map_err(|_| TicketError::Altered)?;
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let text = format!("{TICKET_PREFIX}{}", mesto_oplog::id::to_text(&bytes));
        bytes.zeroize();
        Ok(text)
    }

    fn check(&self) -> Result<(), TicketError> {
        if self.peer.len() > PEER_LEN_MAX {
            return Err(TicketError::OutOfBounds("peer"));
        }
        if self.addresses.len() > ADDRESSES_MAX || self.addresses.iter().any(|address| address.len() > ADDRESS_LEN_MAX)
        {
            return Err(TicketError::OutOfBounds("addresses"));
        }
        if self.group_name.len() > NAME_LEN_MAX {
            return Err(TicketError::OutOfBounds("group name"));
        }
        Ok(())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads the text form; white space is forgiven, nothing else is.
    fn from_str(text: &str) -> Result<Self, TicketError> {
        // Longer than a ticket with a line break after every character is no ticket.
        if text.len() > 2 * TICKET_TEXT_LEN_MAX {
            return Err(TicketError::TooLong);
        }
        // What carries it may break it into lines.
        let text: String = text.split_whitespace().collect();
        if text.len() > TICKET_TEXT_LEN_MAX {
            return Err(TicketError::TooLong);
        }
        let text = text.strip_prefix(TICKET_PREFIX).ok_or(TicketError::NotATicket)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(TicketError::Altered);
        }
        let bytes = data_encoding::BASE32_NOPAD
            .decode(text.to_ascii_uppercase().as_bytes())
            .map_err(|_| if text.len() < 16 { TicketError::Truncated } else { TicketError::Altered })?;
        match bytes.first() {
            None => return Err(TicketError::Truncated),
            Some(&TICKET_VERSION) => {}
            Some(&version) => return Err(TicketError::UnknownVersion(version)),
        }
        let (signed, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(TicketError::Truncated)?;
        let body = signed.get(1..).ok_or(TicketError::Truncated)?;
        if checksum(signed) != *sum {
            return Err(if is_cut(&bytes) { TicketError::Truncated } else { TicketError::Altered });
        }
        let ticket = Self::try_from_slice(body).map_err(|_| TicketError::Altered)?;
        ticket.check()?;
        Ok(ticket)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("group", &self.group)
            .field("invitation", &self.invitation)
            .field("expires_at_ms", &self.expires_at_ms)
            .finish_non_exhaustive()
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let [a, b, c, d, ..] = blake3::derive_key(CHECKSUM_CONTEXT, bytes);
    [a, b, c, d]
}

/// Whether the fields themselves run out of bytes, so that the message can name the likelier mistake.
fn is_cut(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(1..).unwrap_or_default();
    Ticket::deserialize(&mut rest).is_err() || rest.len() < CHECKSUM_LEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket() -> Ticket {
        Ticket {
            group: GroupId::from_bytes([1; 32]),
            invitation: InvitationId::from_bytes([2; 32]),
            secret: [3; 32],
            peer: vec![4; 38],
            addresses: vec!["/ip4/192.0.2.1/udp/2481/quic-v1".into(), "/ip4/192.0.2.1/tcp/2481".into()],
            group_name: "Büro".into(),
            expires_at_ms: 1_800_000_000_000,
        }
    }

    #[test]
    fn the_text_of_a_ticket_is_frozen() {
        let text = ticket().to_text().expect("in bounds");
        assert_eq!(text, include_str!("../tests/golden/ticket.txt").trim());
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        assert!(!format!("{:?}", ticket()).contains("secret"));
    }

    #[test]
    fn every_altered_character_is_refused() {
        let text = ticket().to_text().expect("in bounds");
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'q' { b'r' } else { b'q' };
            let altered = String::from_utf8(altered).expect("ascii");
            assert!(altered.parse::<Ticket>().is_err(), "character {at} went unnoticed");
        }
        assert_eq!(text.to_uppercase().parse::<Ticket>(), Err(TicketError::NotATicket));
        assert_eq!(format!("  {text}\n").parse::<Ticket>(), Ok(ticket()));
        let (first, second) = text.split_at(40);
        assert_eq!(format!("{first}\r\n{second}").parse::<Ticket>(), Ok(ticket()));
    }

    #[test]
    fn a_cut_ticket_and_a_later_version_are_refused_by_name() {
        let text = ticket().to_text().expect("in bounds");
        for len in 0..text.len() {
            assert!(text[..len].parse::<Ticket>().is_err(), "a cut at {len} went unnoticed");
        }
        assert_eq!(text[..64].parse::<Ticket>(), Err(TicketError::Truncated));
        assert_eq!("mesto1".parse::<Ticket>(), Err(TicketError::Truncated));
        let later = format!("mesto1{}", mesto_oplog::id::to_text(&[2; 120]));
        assert_eq!(later.parse::<Ticket>(), Err(TicketError::UnknownVersion(2)));
    }

    #[test]
    fn a_ticket_at_all_its_bounds_fits() {
        let mut full = ticket();
        full.peer = vec![0; PEER_LEN_MAX];
        full.addresses = vec!["a".repeat(ADDRESS_LEN_MAX); ADDRESSES_MAX];
        full.group_name = "n".repeat(NAME_LEN_MAX);
        let text = full.to_text().expect("in bounds");
        assert!(text.len() <= TICKET_TEXT_LEN_MAX);
        assert_eq!(text.parse(), Ok(full.clone()));
        full.addresses.push("a".into());
        assert_eq!(full.to_text(), Err(TicketError::OutOfBounds("addresses")));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "mesto1[a-z2-7]{0,200}") {
            let _ = text.parse::<Ticket>();
        }
    }
}
