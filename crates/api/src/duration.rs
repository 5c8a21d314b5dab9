//! Durations as people type them: `250ms`, `30s`, `5m`, `24h`, `7d`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Not digits and a unit.
    #[error("`{0}` is not a duration: write a number and a unit, like 30s, 5m, 24h or 7d")]
    Malformed(String),
    /// More than fits.
    #[error("`{0}` is too long a duration")]
    TooLong(String),
}

/// Longest duration that is accepted: a hundred years, so that sums with the current time never overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Reads a whole number and one of the units ms, s, m, h, d, w; without a unit, seconds.
///
/// # Errors
/// [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(malformed());
    }
    let ms_per_unit: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(malformed()),
    };
    let number: u64 = number.parse().map_err(|_| too_long())?;
    let duration = Duration::from_millis(number.checked_mul(ms_per_unit).ok_or_else(too_long)?);
    if duration > DURATION_MAX { Err(too_long()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_means_what_it_says() {
        for (text, seconds) in [("30s", 30), ("30", 30), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ("1w", 604_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "-1s", "1.5h", "1 h", "1H", "99999999999999999999s", "18446744073709551615w", "101000d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
