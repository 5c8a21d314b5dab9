//! One-time codes: how a page of an app comes to a login of its own.
//!
//! A code is made for whoever may do what it allows, is shown in a URL's fragment (which browsers send nowhere), and is
//! exchanged for tokens once. It lives in memory only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mesto_oplog::id::to_text;

use super::AuthError;
use super::permission::Permissions;

/// How long a code is good for: it may be printed now and opened after a coffee.
pub(super) const CODE_S: u64 = 15 * 60;

/// Codes that wait at once.
const CODES_MAX: usize = 1024;

/// 160 random bits.
const CODE_LEN: usize = 20;

/// What a code is exchanged for.
#[derive(Clone, Debug)]
pub(super) struct Coded {
    pub(super) subject: String,
    pub(super) permissions: Permissions,
    pub(super) end: u64,
}

/// The codes that wait, by hash: comparing hashes tells nothing about how much of a guess was right.
#[derive(Default)]
pub(super) struct Codes(Mutex<BTreeMap<[u8; 32], Coded>>);

impl Codes {
    pub(super) fn make(&self, subject: String, permissions: Permissions, now_s: u64) -> Result<(String, u64), AuthError> {
        let mut random = [0; CODE_LEN];
        getrandom::fill(&mut random).map_err(|error| AuthError::Storage(error.to_string()))?;
        let code = to_text(&random);
        let end = now_s + CODE_S;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, coded| coded.end > now_s);
        if waiting.len() >= CODES_MAX {
            return Err(AuthError::TooMany("codes", CODES_MAX));
        }
        waiting.insert(*blake3::hash(code.as_bytes()).as_bytes(), Coded { subject, permissions, end });
        Ok((code, end))
    }

    pub(super) fn take(&self, code: &str, now_s: u64) -> Result<Coded, AuthError> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(blake3::hash(code.as_bytes()).as_bytes());
        taken.filter(|coded| coded.end > now_s).ok_or(AuthError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_works_once_and_in_time() {
        let codes = Codes::default();
        let make = || codes.make("page".into(), Permissions::admin(), 0).unwrap().0;
        let code = make();
        assert!(codes.take("", 0).is_err());
        assert!(codes.take(&code[..code.len() - 1], 0).is_err());
        assert!(codes.take(&code, CODE_S - 1).is_ok());
        assert!(codes.take(&code, CODE_S - 1).is_err());
        assert!(codes.take(&make(), CODE_S).is_err());
    }

    #[test]
    fn codes_that_wait_are_bounded() {
        let codes = Codes::default();
        for _ in 0..CODES_MAX {
            codes.make("page".into(), Permissions::admin(), 0).unwrap();
        }
        assert!(matches!(codes.make("page".into(), Permissions::admin(), 0), Err(AuthError::TooMany(..))));
        assert!(codes.make("page".into(), Permissions::admin(), CODE_S).is_ok(), "the old ones are over");
    }
}
