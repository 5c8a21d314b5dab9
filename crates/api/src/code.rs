//! The one list of error codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One row per code: name, HTTP status, exit status of the command line, JSON-RPC code, JSON-RPC type, meaning.
macro_rules! codes {
    ($($name:ident $http:literal $exit:literal $rpc:literal $kind:literal $doc:literal;)*) => {
        /// What went wrong, in one word that scripts and programs can rely on. The same word is `code` in a
        /// [`Problem`](crate::Problem) and in the errors of the command line; `type` of a JSON-RPC error is
        /// [`ErrorCode::rpc_type`] of it. `docs/errors.md` lists them all.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $doc] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of `docs/errors.md`.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is written everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The status of an HTTP answer that carries this code.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }

            /// The exit status of a command that ends with this code.
            #[must_use]
            pub const fn exit_status(self) -> u8 {
                match self { $(Self::$name => $exit,)* }
            }

            /// `code` of a JSON-RPC error.
            #[must_use]
            pub const fn rpc_code(self) -> i32 {
                match self { $(Self::$name => $rpc,)* }
            }

            /// `type` of a JSON-RPC error: one of the few words that existing clients know.
            #[must_use]
            pub const fn rpc_type(self) -> &'static str {
                match self { $(Self::$name => $kind,)* }
            }

            /// What it means, in one line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

codes! {
    UsageError              400 2 -32600 "InvalidRequest" "The command line was not understood.";
    ParseError              400 2 -32700 "ParseError" "The text is not valid JSON.";
    InvalidRequest          400 2 -32600 "InvalidRequest" "The request does not have the shape that is asked for.";
    InvalidArgument         422 2 -32602 "InvalidRequest" "A value is malformed or beyond its bound.";
    Ambiguous               409 2 -32602 "InvalidRequest" "A prefix or name fits several things; `data.candidates` lists them.";
    NoApplication           422 2 -32602 "InvalidRequest" "The group names no application and none was given.";
    NotFound                404 5 -32004 "InvalidRequest" "There is no such route.";
    MethodNotFound          404 5 -32601 "MethodNotFound" "There is no such method.";
    ContextNotFound         404 5 -32004 "ContextNotFound" "No context has this id, prefix or name.";
    GroupNotFound           404 5 -32004 "InvalidRequest" "No group has this id, prefix or name.";
    MemberNotFound          404 5 -32004 "InvalidRequest" "No member has this key, prefix or alias.";
    InvitationNotFound      404 5 -32004 "InvalidRequest" "No invitation has this id or prefix.";
    ApplicationNotFound     404 5 -32004 "ApplicationNotInstalled" "No application has this id, prefix or name.";
    IdentityNotFound        404 5 -32004 "Unauthorized" "This node holds no such identity.";
    PeerNotFound            404 5 -32004 "InvalidRequest" "No known peer has this id or prefix.";
    BlobNotFound            404 5 -32004 "InvalidRequest" "This node holds no such blob.";
    TokenNotFound           404 5 -32004 "InvalidRequest" "No login, token or login key has this id, prefix or name.";
    FileNotFound            404 5 -32004 "InvalidRequest" "There is no such file.";
    MethodNotAllowed        405 1 -32600 "InvalidRequest" "The route exists, but not with this HTTP method.";
    UnsupportedMediaType    415 1 -32600 "InvalidRequest" "The body has another `Content-Type` than the one asked for.";
    PayloadTooLarge         413 1 -32000 "LimitExceeded" "The body is larger than the route takes.";
    RangeNotSatisfiable     416 1 -32600 "InvalidRequest" "The range lies outside the blob.";
    FunctionCallError       422 1 -32000 "FunctionCallError" "The app gave no result: it refused (`data` is its own error), got arguments that do not fit, or broke.";
    LimitExceeded           429 1 -32005 "LimitExceeded" "A limit was reached; `detail` names it.";
    Unauthorized            401 4 -32001 "Unauthorized" "The token is missing or wrong.";
    Forbidden               403 4 -32003 "Unauthorized" "The rights do not suffice.";
    HostNotAllowed          403 4 -32003 "Unauthorized" "The `Host` header names neither an address nor this machine.";
    OriginNotAllowed        403 4 -32003 "Unauthorized" "A web page of another origin made the request.";
    Uninitialized           503 1 -32006 "Uninitialized" "The context is joined, but its application or state is still on its way.";
    NotJoined               409 1 -32006 "ContextNotFound" "The context exists, but this node has not joined it.";
    ApplicationNotInstalled 409 1 -32007 "ApplicationNotInstalled" "The application is not installed here, or cannot be loaded.";
    KeyMissing              503 1 -32006 "Uninitialized" "The group's current key has not arrived yet.";
    UpgradeInProgress       409 1 -32008 "UpgradeInProgress" "The context is being upgraded.";
    InvalidTicket           422 1 -32602 "InvalidRequest" "The ticket is altered, truncated or of another version.";
    InvalidCard             422 1 -32602 "InvalidRequest" "The member card is altered, truncated or of another version.";
    TicketExpired           410 1 -32602 "InvalidRequest" "The ticket's time is over.";
    JoinRefused             403 1 -32003 "Unauthorized" "A member refused the join for good; `detail` says why.";
    InvalidBundle           422 1 -32602 "InvalidRequest" "The bundle is damaged, altered, not signed as it should be, or beyond a limit.";
    InvalidKeyFile          422 1 -32602 "InvalidRequest" "The file holds no Ed25519 key that can be read.";
    InvalidConfiguration    500 1 -32603 "InternalError" "The configuration has a key that is unknown or a value that does not fit.";
    HomeExists              409 1 -32603 "InternalError" "The folder is already a home of a node.";
    HomeMissing             404 1 -32603 "InternalError" "The folder is not a home of a node.";
    AlreadyRunning          409 1 -32603 "InternalError" "Another process runs a node on this home.";
    AddressInUse            409 1 -32603 "InternalError" "Another program listens on the address.";
    BuildFailed             422 1 -32603 "InternalError" "The app could not be built.";
    FileError               500 1 -32603 "InternalError" "A file could not be read or written.";
    StorageFull             507 1 -32005 "LimitExceeded" "The blob quota or the disk is full.";
    DownloadFailed          502 1 -32603 "InternalError" "The file could not be fetched.";
    PeerUnreachable         502 3 -32603 "InternalError" "The peer could not be reached.";
    NotReachable            503 3 -32603 "InternalError" "No node answers.";
    Stopping                503 3 -32603 "InternalError" "The node is stopping.";
    TimedOut                504 6 -32603 "InternalError" "What was waited for did not happen in time. It may still happen.";
    CheckFailed             500 1 -32603 "InternalError" "`doctor` found something that keeps the node from working.";
    InternalError           500 1 -32603 "InternalError" "The node failed in a way that it should not; its log says more.";
}

impl ErrorCode {
    /// The code that best fits a JSON-RPC error, whose `type` is coarser than [`ErrorCode`]: the one that the type names,
    /// unless the number tells that it is another.
    #[must_use]
    pub fn from_rpc(kind: &str, number: i32) -> Self {
        let named = kind.parse().unwrap_or(Self::InternalError);
        let is_told = |code: &&Self| code.rpc_type() == kind && code.rpc_code() == number;
        if named.rpc_code() == number {
            return named;
        }
        Self::ALL.iter().find(is_told).copied().unwrap_or(named)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not an [`ErrorCode`] that this version knows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is not a known error code")]
pub struct UnknownCode(pub String);

impl FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    /// A code that a newer node knows and we do not is an [`ErrorCode::InternalError`] to us: an error must
    /// stay readable across versions.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or(Self::InternalError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/errors.md`, as it must be.
    fn documented() -> String {
        let mut rows = String::from("| code | HTTP | exit | JSON-RPC | meaning |\n| --- | --- | --- | --- | --- |\n");
        for code in ErrorCode::ALL {
            rows.push_str(&format!(
                "| `{code}` | {} | {} | {} {} | {} |\n",
                code.http_status(),
                code.exit_status(),
                code.rpc_code(),
                code.rpc_type(),
                code.meaning()
            ));
        }
        rows
    }

    #[test]
    fn the_page_lists_exactly_the_codes() {
        let page = include_str!("../../../docs/errors.md");
        assert!(page.contains(&documented()), "docs/errors.md should hold this table:\n{}", documented());
    }

    #[test]
    fn every_code_reads_back() {
        for code in ErrorCode::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
        }
    }

    #[test]
    fn an_unknown_code_stays_readable() {
        assert_eq!(serde_json::from_str::<ErrorCode>("\"FromTheFuture\"").unwrap(), ErrorCode::InternalError);
    }

    #[test]
    fn every_status_is_one_of_the_documented_ones() {
        const TYPES: &[&str] = &[
            "ParseError",
            "InvalidRequest",
            "MethodNotFound",
            "ContextNotFound",
            "FunctionCallError",
            "Unauthorized",
            "Uninitialized",
            "ApplicationNotInstalled",
            "LimitExceeded",
            "UpgradeInProgress",
            "InternalError",
        ];
        for code in ErrorCode::ALL {
            assert!((1..=6).contains(&code.exit_status()), "{code}");
            assert!((400..600).contains(&code.http_status()), "{code}");
            assert!((-32768..=-32000).contains(&code.rpc_code()), "{code}");
            assert!(TYPES.contains(&code.rpc_type()), "{code}");
        }
        for kind in TYPES {
            assert_eq!(ErrorCode::from_rpc(kind, 0).as_str(), *kind);
        }
    }

    #[test]
    fn the_number_of_a_json_rpc_error_tells_apart_what_its_type_does_not() {
        let told = [ErrorCode::Unauthorized, ErrorCode::Forbidden, ErrorCode::IdentityNotFound, ErrorCode::NotJoined];
        for code in told {
            assert_eq!(ErrorCode::from_rpc(code.rpc_type(), code.rpc_code()), code);
        }
        assert_eq!(ErrorCode::from_rpc("InternalError", -32603), ErrorCode::InternalError);
    }
}
