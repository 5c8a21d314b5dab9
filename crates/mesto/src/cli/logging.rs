//! The node's log: on standard error, text for people and JSON lines for everything else.

use std::io::{self, IsTerminal as _};

use mesto_api::ErrorCode;
use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use super::output::Output;

/// What libraries say below this interests nobody who does not work on them.
const LIBRARIES: &str = ",libp2p=warn,quinn=warn,fjall=warn,lsm_tree=warn,wasmtime=warn,hyper=warn,multistream_select=warn,yamux=warn,netlink_proto=warn";

/// Begins to log what `directives` let through: a level, or tracing's directives. `-q` and `-v` stand above a level.
pub(super) fn begin(directives: &str, output: &Output) -> Result<(), Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::InvalidConfiguration, format!("`{directives}` says not what to log: {error}")).hint(
            "MESTO_LOG and the setting `log` take error, warn, info, debug, trace, or directives like mesto=debug",
        )
    };
    let level_only = directives.parse::<tracing::Level>().is_ok();
    let wanted = match (level_only, output.quiet(), output.verbose()) {
        (true, true, _) => format!("error{LIBRARIES}"),
        (true, false, true) if directives != "trace" => format!("debug{LIBRARIES}"),
        (true, ..) => format!("{directives}{LIBRARIES}"),
        (false, ..) => directives.to_owned(),
    };
    let filter = EnvFilter::builder().parse(&wanted).map_err(|error| bad(&error))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = if io::stderr().is_terminal() { log.try_init() } else { log.json().flatten_event(true).try_init() };
    begun.map_err(|error| Failure::new(ErrorCode::InternalError, error.to_string()))
}
