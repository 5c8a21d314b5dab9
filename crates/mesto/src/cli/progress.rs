//! Progress on the terminal, for whatever takes longer than a second.

use std::io::{self, IsTerminal as _, Read};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;

/// What is done sooner shows no progress: a flicker tells nothing.
const QUIET_FIRST: Duration = Duration::from_secs(1);

/// How often a bar moves.
const TICK: Duration = Duration::from_millis(120);

/// A bar that appears after a second, if a person watches.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: bool,
    wanted: bool,
}

impl Progress {
    /// A bar for `len` bytes; if the length is not known, it only counts.
    pub(crate) fn bytes(output: &Output, what: &str, len: Option<u64>) -> Self {
        let (bar, template) = match len {
            Some(len) => (ProgressBar::new(len), "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}"),
            None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes} {bytes_per_sec}"),
        };
        Self::of(output, what, bar, template)
    }

    /// A bar for work whose length is not known.
    pub(crate) fn work(output: &Output, what: &str) -> Self {
        let progress = Self::of(output, what, ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}");
        if progress.wanted {
            progress.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            progress.bar.enable_steady_tick(TICK);
        }
        progress
    }

    fn of(output: &Output, what: &str, bar: ProgressBar, template: &str) -> Self {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        let wanted = !output.quiet() && !output.json() && io::stderr().is_terminal();
        Self { bar, begun: Instant::now(), shown: false, wanted }
    }

    /// So many bytes more are done.
    pub(crate) fn add(&mut self, count: u64) {
        self.bar.inc(count);
        if self.wanted && !self.shown && self.begun.elapsed() >= QUIET_FIRST {
            self.shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A reader that moves a bar.
pub(crate) struct Counted<R> {
    reader: R,
    progress: Progress,
}

impl<R> Counted<R> {
    pub(crate) fn new(reader: R, progress: Progress) -> Self {
        Self { reader, progress }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.progress.add(count as u64);
        Ok(count)
    }
}
