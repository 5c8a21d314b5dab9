//! Fetching a file by URL.

use std::time::Duration;

use ureq::Agent;

use super::{CONNECT_TIMEOUT, ClientError, STALL_TIMEOUT};

/// How long a whole download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Fetches at most `len_max` bytes from an `http://` URL.
///
/// # Errors
/// [`ClientError`]; [`ClientError::NotHttp`] for any other kind of URL.
pub fn download(url: &str, len_max: u64) -> Result<Vec<u8>, ClientError> {
    if !url.starts_with("http://") {
        return Err(ClientError::NotHttp(url.to_owned()));
    }
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(STALL_TIMEOUT))
        .timeout_global(Some(DOWNLOAD_TIMEOUT))
        .user_agent(concat!("mesto/", env!("CARGO_PKG_VERSION")))
        .build();
    let failed = |error: ureq::Error| ClientError::Download { url: url.to_owned(), reason: error.to_string() };
    let mut answer = Agent::from(config).get(url).call().map_err(failed)?;
    answer.body_mut().with_config().limit(len_max).read_to_vec().map_err(failed)
}
