//! Why a command failed, as it is shown.

use std::io;
use std::path::Path;

use mesto_api::{ClientError, ErrorCode, Problem};

/// A problem on its way to the terminal.
#[derive(Debug)]
pub(crate) struct Failure(Box<Problem>);

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, detail)))
    }

    /// The same with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The command line asks for what makes no sense.
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::UsageError, detail)
    }

    /// The system refused to read or write `path`.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::NotFound { ErrorCode::FileNotFound } else { ErrorCode::FileError };
        Self::new(code, format!("{}: {error}", path.display()))
    }

    /// What went wrong, in one word.
    pub(crate) fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// All of it.
    pub(crate) fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let problem = error.problem();
        match (problem.code, &problem.hint) {
            (ErrorCode::Unauthorized, None) => {
                Self::from(problem).hint("give the token of that node with --token, or its folder with --home")
            }
            _ => Self::from(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_not_found_and_any_other_trouble_is_a_failure() {
        let missing = Failure::file(Path::new("x"), &io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(missing.code().exit_status(), 5);
        let denied = Failure::file(Path::new("x"), &io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(denied.code().exit_status(), 1);
    }
}
