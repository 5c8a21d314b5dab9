//! Hybrid logical clock: wall time where possible, a counter where not.
//!
//! After Kulkarni et al., "Logical Physical Clocks" (2014), packed into 64 bits.

use std::fmt;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};

const COUNTER_BITS: u32 = 16;
/// Stamps from here on are malformed. The range (about 35 years at the end of the 48 bits, in the
/// year 10854) leaves room for sentinels and makes "the counter overflowed" unreachable for honest clocks.
const MS_RESERVED: u64 = (1 << 48) - (1 << 40);

/// A stamp: 48 bits of milliseconds since the Unix epoch, then 16 bits of counter.
///
/// Ordered as its number; encoded as a little-endian `u64`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize)]
pub struct Hlc(u64);

/// The stamp lies in the reserved range at the top of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stamp {0:#018x} lies in the reserved range")]
pub struct ReservedStamp(pub u64);

impl Hlc {
    /// The least stamp.
    pub const ZERO: Hlc = Hlc(0);
    /// The greatest well-formed stamp.
    pub const MAX: Hlc = Hlc((MS_RESERVED << COUNTER_BITS) - 1);

    /// The stamp of `ms` milliseconds since the Unix epoch and `counter`.
    ///
    /// # Errors
    /// [`ReservedStamp`] if `ms` is beyond the usable range.
    pub const fn new(ms: u64, counter: u16) -> Result<Self, ReservedStamp> {
        if ms >= MS_RESERVED {
            return Err(ReservedStamp(ms));
        }
        Ok(Self(ms << COUNTER_BITS | counter as u64))
    }

    /// The stamp with these 64 bits.
    ///
    /// # Errors
    /// [`ReservedStamp`] if it is greater than [`Hlc::MAX`].
    pub const fn from_bits(bits: u64) -> Result<Self, ReservedStamp> {
        if bits > Self::MAX.0 {
            return Err(ReservedStamp(bits));
        }
        Ok(Self(bits))
    }

    /// All 64 bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The counter within the millisecond.
    pub const fn counter(self) -> u16 {
        (self.0 & u16::MAX as u64) as u16
    }

    /// The next stamp, the counter carrying into the milliseconds; `None` after [`Hlc::MAX`].
    pub const fn successor(self) -> Option<Self> {
        match Self::from_bits(self.0 + 1) {
            Ok(next) => Some(next),
            Err(_) => None,
        }
    }
}

/// The stamp of a new entry, authored at wall time `now_ms` on top of entries of which `after` is the latest.
///
/// `None` if the clock is exhausted, or `now_ms` lies in the reserved range.
pub fn next(now_ms: u64, after: Hlc) -> Option<Hlc> {
    let now = Hlc::new(now_ms, 0).ok()?;
    Some(now.max(after.successor()?))
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ms(), self.counter())
    }
}

/// The decimal number, as in JSON.
impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl BorshDeserialize for Hlc {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bits = u64::deserialize_reader(reader)?;
        Self::from_bits(bits).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_carries_into_the_milliseconds() {
        let last = Hlc::new(7, u16::MAX).expect("in range");
        assert_eq!(last.successor(), Hlc::new(8, 0).ok());
        assert_eq!(Hlc::MAX.successor(), None);
    }

    #[test]
    fn the_reserved_range_is_malformed() {
        assert_eq!(Hlc::from_bits(Hlc::MAX.bits()), Ok(Hlc::MAX));
        assert!(Hlc::from_bits(Hlc::MAX.bits() + 1).is_err());
        assert!(Hlc::new((1 << 48) - (1 << 40), 0).is_err());
        assert!(borsh::from_slice::<Hlc>(&u64::MAX.to_le_bytes()).is_err());
    }

    #[test]
    fn a_new_stamp_is_after_its_parents_and_not_before_the_wall_clock() {
        let parent = Hlc::new(1_000, 3).expect("in range");
        assert_eq!(next(999, parent), Hlc::new(1_000, 4).ok());
        assert_eq!(next(1_000, parent), Hlc::new(1_000, 4).ok());
        assert_eq!(next(1_001, parent), Hlc::new(1_001, 0).ok());
        assert_eq!(next(0, Hlc::MAX), None);
        assert_eq!(next(u64::MAX, parent), None);
    }
}
