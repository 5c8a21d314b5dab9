//! Reads a stream of server-sent events (the `text/event-stream` format of the HTML standard).

use std::io::{BufRead, BufReader, Read};

use ureq::Body;

use super::error::ClientError;
use crate::event::{Envelope, Happened, Opened};

/// Longest line that is read: an event of an app, its payload included, is far shorter.
const LINE_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A stream of what happens. Ends when the node does, when it cuts us off for being slow, or on silence: the
/// node sends a comment at least every quarter of a minute.
pub struct EventStream {
    lines: Box<dyn BufRead>,
    session_id: String,
    resumed: bool,
    last_id: Option<String>,
}

impl EventStream {
    pub(super) fn open(body: Body) -> Result<Self, ClientError> {
        let reader = BufReader::new(body.into_with_config().limit(u64::MAX).reader());
        let mut stream = Self { lines: Box::new(reader), session_id: String::new(), resumed: false, last_id: None };
        let first = stream.message()?;
        let opened: Opened = serde_json::from_str(&first).map_err(|error| ClientError::Malformed(error.to_string()))?;
        stream.last_id = Some(format!("{}-0", opened.session_id));
        stream.session_id = opened.session_id;
        stream.resumed = opened.resumed == Some(true);
        Ok(stream)
    }

    /// Whether this goes on without a gap where another stream broke.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The id of the newest message, by which the stream is taken up again if it breaks.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The name of this stream.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// [`ClientError::StreamEnded`], and [`ClientError::Malformed`] for what no event can be.
    pub fn next_event(&mut self) -> Result<Happened, ClientError> {
        let text = self.message()?;
        if let Ok(envelope) = serde_json::from_str::<Envelope>(&text) {
            return Ok(envelope.result);
        }
        let other: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let reason = other.get("message").or_else(|| other.get("type")).and_then(serde_json::Value::as_str);
        Err(ClientError::StreamEnded(reason.unwrap_or("the node said something else than an event").to_owned()))
    }

    /// The data of the next message. Its id is remembered, comments are passed over.
    fn message(&mut self) -> Result<String, ClientError> {
        let mut data = String::new();
        loop {
            let mut line = String::new();
            let read = (&mut self.lines).take(LINE_LEN_MAX).read_line(&mut line);
            match read {
                Ok(0) => return Err(ClientError::StreamEnded("the node closed it".to_owned())),
                Ok(_) if !line.ends_with('\n') => {
                    return Err(ClientError::StreamEnded("a line was cut off or is too long".to_owned()));
                }
                Ok(_) => {}
                Err(error) => return Err(ClientError::StreamEnded(error.to_string())),
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if !data.is_empty() {
                    return Ok(data);
                }
            } else if let Some(text) = line.strip_prefix("data:") {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(text.strip_prefix(' ').unwrap_or(text));
            } else if let Some(id) = line.strip_prefix("id:") {
                self.last_id = Some(id.trim_start().to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(text: &'static str) -> EventStream {
        EventStream { lines: Box::new(text.as_bytes()), session_id: String::new(), resumed: false, last_id: None }
    }

    #[test]
    fn comments_ids_and_split_data_are_read_as_the_standard_says() {
        let mut stream = stream(": keep-alive\n\nid: s-1\nevent: x\ndata: {\"a\":\ndata:1}\n\ndata: 2\r\n\r\n");
        assert_eq!(stream.message().unwrap(), "{\"a\":\n1}");
        assert_eq!(stream.last_id(), Some("s-1"));
        assert_eq!(stream.message().unwrap(), "2");
        assert!(matches!(stream.message(), Err(ClientError::StreamEnded(_))));
    }

    #[test]
    fn being_told_that_we_are_slow_ends_the_stream() {
        let mut stream = stream("data: {\"type\":\"lagged\",\"message\":\"too slow\"}\n\n");
        assert!(matches!(stream.next_event(), Err(ClientError::StreamEnded(reason)) if reason == "too slow"));
    }
}
