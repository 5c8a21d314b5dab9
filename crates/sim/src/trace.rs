//! A hash over all that happened: two runs of one seed must end with the same.

use crate::world::Micros;

/// The hash so far, and the last lines for people.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    lines: Option<Vec<String>>,
    count: u64,
}

impl Trace {
    /// Nothing yet. `is_verbose` keeps a line of text for each event.
    #[must_use]
    pub(crate) fn new(is_verbose: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), lines: is_verbose.then(Vec::new), count: 0 }
    }

    /// Something happened at a host. `detail` is hashed, `text` is only made for people.
    pub(crate) fn note(&mut self, now: Micros, host: usize, what: &str, detail: &[u8], text: impl FnOnce() -> String) {
        self.count += 1;
        self.hasher.update(&now.to_le_bytes()).update(&(host as u64).to_le_bytes());
        self.hasher.update(&(what.len() as u64).to_le_bytes()).update(what.as_bytes());
        self.hasher.update(&(detail.len() as u64).to_le_bytes()).update(detail);
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>10.3} ms  host {host}  {what} {}", now as f64 / 1000.0, text()));
        }
    }

    /// The hash of all events so far.
    #[must_use]
    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// How many events there were.
    #[must_use]
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The lines, if they were kept.
    #[must_use]
    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
