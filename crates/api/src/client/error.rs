//! Why a request of the client failed.

use ureq::Timeout;

use crate::call::RpcError;
use crate::code::ErrorCode;
use crate::problem::Problem;

/// Why a request gave no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The base URL cannot be one.
    #[error("`{0}` is not the URL of a node: it should look like http://127.0.0.1:2480")]
    BadUrl(String),
    /// A file's URL is of a kind that cannot be fetched.
    #[error("`{0}` cannot be fetched: only http:// and https:// URLs can; download it and give the file")]
    NotHttp(String),
    /// A file could not be fetched.
    #[error("{url}: {reason}")]
    Download {
        /// From where.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// Nobody answers there.
    #[error("no node answers at {url}: {reason}")]
    NotReachable {
        /// Where it should be.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The node did not answer in time.
    #[error("the node at {url} did not answer in time")]
    TimedOut {
        /// Where it is.
        url: String,
    },
    /// The node refused.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// A call gave no result.
    #[error("{}", .0.message)]
    Rpc(RpcError),
    /// The answer is none that this version understands.
    #[error("the node's answer is not understood: {0}")]
    Malformed(String),
    /// The stream of events ended.
    #[error("the stream of events ended: {0}")]
    StreamEnded(String),
}

impl ClientError {
    /// What a failure below HTTP means.
    pub(super) fn of_transport(url: &str, error: ureq::Error) -> Self {
        let url = url.to_owned();
        match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed => Self::NotReachable { url, reason: error.to_string() },
            ureq::Error::Timeout(_) => Self::TimedOut { url },
            ureq::Error::Io(error) => Self::NotReachable { url, reason: error.to_string() },
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Self::BadUrl(url),
            other => Self::Malformed(other.to_string()),
        }
    }

    /// The same as a problem document, whatever it was.
    #[must_use]
    pub fn problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::BadUrl(_) | Self::NotHttp(_) => Problem::new(ErrorCode::UsageError, detail),
            Self::Download { .. } => Problem::new(ErrorCode::NotReachable, detail),
            Self::NotReachable { .. } => Problem::new(ErrorCode::NotReachable, detail)
                .hint("start one with `mesto run`, or name another with --api"),
            Self::TimedOut { .. } => Problem::new(ErrorCode::TimedOut, detail),
            Self::Refused(problem) => *problem,
            Self::Rpc(error) => Problem {
                hint: error.hint,
                data: (!error.data.is_null()).then_some(error.data),
                ..Problem::new(ErrorCode::from_rpc(&error.kind, error.code), error.message)
            },
            Self::Malformed(_) => Problem::new(ErrorCode::InternalError, detail)
                .hint("is the node of the same version as this command? `mesto status` tells"),
            Self::StreamEnded(_) => Problem::new(ErrorCode::NotReachable, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_means_not_reachable() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let problem = ClientError::of_transport("http://x", ureq::Error::Io(refused)).problem();
        assert_eq!(problem.code, ErrorCode::NotReachable);
        assert_eq!(problem.code.exit_status(), 3);
        assert!(problem.hint.is_some());
    }

    #[test]
    fn an_apps_error_keeps_its_data() {
        let error = RpcError {
            code: -32000,
            message: "no such key".to_owned(),
            kind: "FunctionCallError".to_owned(),
            data: serde_json::json!({"NotFound": "k"}),
            hint: None,
        };
        let problem = ClientError::Rpc(error).problem();
        assert_eq!((problem.code, problem.code.exit_status()), (ErrorCode::FunctionCallError, 1));
        assert_eq!(problem.data, Some(serde_json::json!({"NotFound": "k"})));
    }
}
