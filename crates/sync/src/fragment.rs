//! Messages larger than a frame, cut into frames and put together again.
//!
//! A frame is one flag byte (0: the message ends here, 1: it goes on) and a part of the message. Lanes are
//! ordered, so parts need no numbers.

use crate::message::MESSAGE_LEN_MAX;

/// Bytes of a message in one frame: large messages leave room for others on the same connection.
pub const PART_LEN_MAX: usize = 256 * 1024;

const LAST: u8 = 0;
const MORE: u8 = 1;

/// Why a frame does not continue a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// No flag byte, or an unknown one.
    #[error("a frame begins with 0 or 1")]
    BadFlag,
    /// The message grew beyond [`MESSAGE_LEN_MAX`].
    #[error("a message exceeds {MESSAGE_LEN_MAX} bytes")]
    TooLong,
}

/// The frames of `message`, in order.
pub fn fragments(message: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let parts = message.len().div_ceil(PART_LEN_MAX).max(1);
    (0..parts).map(move |n| {
        let start = n * PART_LEN_MAX;
        let part = message.get(start..message.len().min(start + PART_LEN_MAX)).unwrap_or_default();
        let mut frame = Vec::with_capacity(part.len() + 1);
        frame.push(if n + 1 == parts { LAST } else { MORE });
        frame.extend_from_slice(part);
        frame
    })
}

/// Puts the frames of one lane together.
#[derive(Debug, Default)]
pub struct Assembler {
    parts: Vec<u8>,
}

impl Assembler {
    /// Takes the next frame; gives the message that it completes, if it does.
    ///
    /// # Errors
    /// See [`FragmentError`]; the lane is to be reset then.
    pub fn push(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, FragmentError> {
        let (&flag, part) = frame.split_first().ok_or(FragmentError::BadFlag)?;
        if self.parts.len() + part.len() > MESSAGE_LEN_MAX {
            return Err(FragmentError::TooLong);
        }
        match flag {
            LAST if self.parts.is_empty() => Ok(Some(part.to_vec())),
            LAST => {
                self.parts.extend_from_slice(part);
                Ok(Some(std::mem::take(&mut self.parts)))
            }
            MORE => {
                self.parts.extend_from_slice(part);
                Ok(None)
            }
            _ => Err(FragmentError::BadFlag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_size_survives_its_frames() {
        for len in [0, 1, PART_LEN_MAX - 1, PART_LEN_MAX, PART_LEN_MAX + 1, 3 * PART_LEN_MAX] {
            let message: Vec<u8> = (0..len).map(|n| n.to_le_bytes()[0]).collect();
            let mut assembler = Assembler::default();
            let mut whole = Vec::new();
            for frame in fragments(&message) {
                assert!(frame.len() <= PART_LEN_MAX + 1);
                whole.extend(assembler.push(&frame).expect("in order"));
            }
            assert_eq!(whole, [message]);
        }
    }

    #[test]
    fn an_endless_message_is_cut_at_the_limit() {
        let mut assembler = Assembler::default();
        let frame = [vec![MORE], vec![0; PART_LEN_MAX]].concat();
        let refused = (0..1000).find_map(|_| assembler.push(&frame).err());
        assert_eq!(refused, Some(FragmentError::TooLong));
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert_eq!(Assembler::default().push(&[7, 1]), Err(FragmentError::BadFlag));
        assert_eq!(Assembler::default().push(&[]), Err(FragmentError::BadFlag));
    }
}
