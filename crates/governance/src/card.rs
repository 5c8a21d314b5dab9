//! Member cards: what somebody hands over who wants to be added to a group without a ticket.
//!
//! The text is `mestocard1` and then, in lower-case unpadded base32, the version (1 byte) and the borsh encoding of
//! the [`Card`]. It holds nothing secret. The member's own signature covers all of it, so an altered card is
//! refused, and nobody can hand over a card for a key that they do not hold.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use mesto_oplog::PublicKey;
use mesto_oplog::key::{self, SIGNATURE_LEN, SigningKey};

use crate::action::{PEER_LEN_MAX, PeerHint};
use crate::id::SealingPublicKey;
use crate::ticket::{ADDRESS_LEN_MAX, ADDRESSES_MAX};

/// What every card begins with.
pub const CARD_PREFIX: &str = "mestocard1";
/// The version that this build reads and writes.
pub const CARD_VERSION: u8 = 1;
/// Longest text, in characters: all fields at their largest, in base32.
pub const CARD_TEXT_LEN_MAX: usize = 7680;
/// Domain of the member's signature.
pub const CARD_DOMAIN: &str = "mesto 2026 member card v1";

/// The keys of somebody who is to be added, and where its node is.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Card {
    /// The key that it will be a member by.
    pub member: PublicKey,
    /// To whom copies of epoch keys are sealed.
    pub sealing_key: SealingPublicKey,
    /// The network identity of its node.
    pub peer: PeerHint,
    /// Where its node listens, at most [`ADDRESSES_MAX`] of at most [`ADDRESS_LEN_MAX`] bytes.
    pub addresses: Vec<String>,
    /// The member's signature over all that is above.
    pub by_member: [u8; SIGNATURE_LEN],
}

/// Why a text is no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// It does not begin with [`CARD_PREFIX`].
    #[error("a member card begins with `{CARD_PREFIX}`")]
    NotACard,
    /// A later version of cards.
    #[error("card version {0} is not known here (this build reads version {CARD_VERSION}): update Mesto")]
    UnknownVersion(u8),
    /// Some character was changed, lost or added, or the member did not sign it.
    #[error("the card was altered or cut short: copy all of it again")]
    Altered,
    /// A field over its bound.
    #[error("the card's `{0}` exceeds its bound")]
    OutOfBounds(&'static str),
}

impl Card {
    /// A card, signed by the member that it is about.
    #[must_use]
    pub fn new(member: &SigningKey, sealing_key: SealingPublicKey, peer: PeerHint, addresses: Vec<String>) -> Self {
        let by_member = member.sign(CARD_DOMAIN, &message(&member.public(), &sealing_key, &peer, &addresses));
        Self { member: member.public(), sealing_key, peer, addresses, by_member }
    }

    /// The text form.
    ///
    /// # Errors
    /// [`CardError::OutOfBounds`].
    pub fn to_text(&self) -> Result<String, CardError> {
        self.check()?;
        let mut bytes = vec![CARD_VERSION];
        self.serialize(&mut bytes).map_err(|_| CardError::Altered)?;
        Ok(format!("{CARD_PREFIX}{}", mesto_oplog::id::to_text(&bytes)))
    }

    fn check(&self) -> Result<(), CardError> {
        if self.peer.0.len() > PEER_LEN_MAX {
            return Err(CardError::OutOfBounds("peer"));
        }
        if self.addresses.len() > ADDRESSES_MAX || self.addresses.iter().any(|address| address.len() > ADDRESS_LEN_MAX)
        {
            return Err(CardError::OutOfBounds("addresses"));
        }
        Ok(())
    }
}

impl FromStr for Card {
    type Err = CardError;

    /// Reads the text form; white space is forgiven, nothing else is.
    fn from_str(text: &str) -> Result<Self, CardError> {
        // As for tickets: what carries it may break it into lines.
        if text.len() > 2 * CARD_TEXT_LEN_MAX {
            return Err(CardError::Altered);
        }
        let text: String = text.split_whitespace().collect();
        let body = text.strip_prefix(CARD_PREFIX).ok_or(CardError::NotACard)?;
        if text.len() > CARD_TEXT_LEN_MAX || body.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(CardError::Altered);
        }
        let bytes =
            data_encoding::BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| CardError::Altered)?;
        let (&version, fields) = bytes.split_first().ok_or(CardError::Altered)?;
        if version != CARD_VERSION {
            return Err(CardError::UnknownVersion(version));
        }
        let card = Self::try_from_slice(fields).map_err(|_| CardError::Altered)?;
        card.check()?;
        let message = message(&card.member, &card.sealing_key, &card.peer, &card.addresses);
        if key::verify(&card.member, CARD_DOMAIN, &message, &card.by_member) {
            Ok(card)
        } else {
            Err(CardError::Altered)
        }
    }
}

impl fmt::Display for Card {
    /// The member's key: the whole text is for [`Card::to_text`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "card of {}", self.member)
    }
}

fn message(member: &PublicKey, sealing_key: &SealingPublicKey, peer: &PeerHint, addresses: &[String]) -> Vec<u8> {
    borsh::to_vec(&(CARD_VERSION, member, sealing_key, peer, addresses)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn card() -> Card {
        Card::new(
            &SigningKey::from_seed(&[1; 32]),
            SealingPublicKey::from_bytes([2; 32]),
            PeerHint(vec![3; 32]),
            vec!["/ip4/192.0.2.1/tcp/2481".into()],
        )
    }

    #[test]
    fn the_text_of_a_card_is_frozen() {
        let text = card().to_text().expect("in bounds");
        assert_eq!(text, include_str!("../tests/golden/card.txt").trim());
        assert_eq!(format!(" {text}\n").parse(), Ok(card()));
        let (first, second) = text.split_at(40);
        assert_eq!(format!("{first}\r\n{second}").parse(), Ok(card()));
    }

    #[test]
    fn every_altered_character_is_refused() {
        let text = card().to_text().expect("in bounds");
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'q' { b'r' } else { b'q' };
            let altered = String::from_utf8(altered).expect("ascii");
            assert!(altered.parse::<Card>().is_err(), "character {at} went unnoticed");
            assert!(text[..at].parse::<Card>().is_err(), "a cut at {at} went unnoticed");
        }
    }

    #[test]
    fn nobody_makes_a_card_for_a_key_that_they_do_not_hold() {
        let mut stolen = card();
        stolen.sealing_key = SealingPublicKey::from_bytes([9; 32]);
        assert_eq!(stolen.to_text().expect("in bounds").parse::<Card>(), Err(CardError::Altered));
    }

    #[test]
    fn a_card_at_all_its_bounds_fits() {
        let key = SigningKey::from_seed(&[1; 32]);
        let addresses = vec!["a".repeat(ADDRESS_LEN_MAX); ADDRESSES_MAX];
        let full = Card::new(&key, SealingPublicKey::default(), PeerHint(vec![0; PEER_LEN_MAX]), addresses);
        let text = full.to_text().expect("in bounds");
        assert!(text.len() <= CARD_TEXT_LEN_MAX);
        assert_eq!(text.parse(), Ok(full));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "mestocard1[a-z2-7]{0,300}") {
            let _ = text.parse::<Card>();
        }
    }
}
