//! Waiting for something to happen, for so long.

use std::time::{Duration, Instant};

use mesto_api::ErrorCode;

use super::failure::Failure;

/// How long one question to the node may wait for its answer. The node bounds it, too.
const QUESTION_MAX: Duration = Duration::from_secs(10);

/// `--wait` and `--timeout`.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Wait {
    /// Wait until it is done
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, value_parser = mesto_api::duration::parse, default_value = "30s", value_name = "DURATION")]
    pub(crate) timeout: Duration,
}

impl Wait {
    /// Asks until the answer is there or the time is over. `ask` gets how long it may take; what it gives
    /// while there is no answer says what is missing.
    pub(crate) fn until<T>(
        &self,
        mut ask: impl FnMut(Duration) -> Result<Result<T, String>, Failure>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match ask(left.min(QUESTION_MAX))? {
                Ok(answer) => return Ok(answer),
                Err(missing) if left.is_zero() => {
                    return Err(Failure::new(
                        ErrorCode::TimedOut,
                        format!("{missing}, after waiting for {:?}", self.timeout),
                    )
                    .hint("it goes on by itself; wait longer with --timeout"));
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_the_time_is_over_the_command_ends_with_status_6() {
        let wait = Wait { wait: true, timeout: Duration::ZERO };
        let failure = wait.until::<()>(|_| Ok(Err("nobody came".to_owned()))).unwrap_err();
        assert_eq!(failure.code().exit_status(), 6);
        assert!(failure.problem().detail.starts_with("nobody came"));
    }

    #[test]
    fn an_answer_ends_the_wait() {
        let wait = Wait { wait: true, timeout: Duration::from_secs(3600) };
        let mut asked = 0;
        let answer = wait.until(|_| {
            asked += 1;
            Ok(if asked == 3 { Ok(asked) } else { Err(String::new()) })
        });
        assert_eq!(answer.unwrap(), 3);
    }
}
