//! Fetching a file by URL.

mod public;

use std::time::Duration;

use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use super::{CONNECT_TIMEOUT, ClientError, STALL_TIMEOUT};
use public::PublicOnly;

/// How long a whole download may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Redirects that are followed, each by the same rules.
const REDIRECTS_MAX: u32 = 5;

/// Where a download may reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Wherever the machine does: somebody at the machine asked.
    Anywhere,
    /// Public addresses alone: somebody elsewhere asked, and must not look into this machine's networks by it. Names are
    /// judged by the address that is then connected to, so they cannot change in between.
    Public,
}

/// Fetches at most `len_max` bytes from an `http://` URL.
///
/// # Errors
/// [`ClientError`]; [`ClientError::NotHttp`] for any other kind of URL.
pub fn download(url: &str, len_max: u64, reach: Reach) -> Result<Vec<u8>, ClientError> {
    if !url.starts_with("http://") {
        return Err(ClientError::NotHttp(url.to_owned()));
    }
    let config = Agent::config_builder()
        .proxy(None)
        .max_redirects(REDIRECTS_MAX)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(STALL_TIMEOUT))
        .timeout_global(Some(DOWNLOAD_TIMEOUT))
        .user_agent(concat!("mesto/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = match reach {
        Reach::Anywhere => Agent::new_with_config(config),
        Reach::Public => Agent::with_parts(config, DefaultConnector::default(), PublicOnly::default()),
    };
    let failed = |error: ureq::Error| ClientError::Download { url: url.to_owned(), reason: error.to_string() };
    let mut answer = agent.get(url).call().map_err(failed)?;
    answer.body_mut().with_config().limit(len_max).read_to_vec().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that answers one request so.
    fn serve(answer: &'static str) -> (String, std::thread::JoinHandle<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let asked = std::thread::spawn(move || {
            for _ in 0..100 {
                if let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    let _ = stream.read(&mut [0; 1024]);
                    stream.write_all(answer.as_bytes()).unwrap();
                    return true;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            false
        });
        (url, asked)
    }

    #[test]
    fn who_asks_from_elsewhere_does_not_reach_this_machine() {
        let (url, asked) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        let port = url.rsplit_once(':').unwrap().1.to_owned();
        for host in ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f000001", "0", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"] {
            let refused = download(&format!("http://{host}:{port}/"), 100, Reach::Public);
            assert!(matches!(refused, Err(ClientError::Download { .. })), "{host}: {refused:?}");
        }
        assert!(!asked.join().unwrap(), "nobody connected");
    }

    #[test]
    fn what_is_too_long_or_not_http_is_refused() {
        let (url, _) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(download(&url, 100, Reach::Anywhere).unwrap(), b"hi");
        let (url, _) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\nhi");
        assert!(download(&url, 100, Reach::Anywhere).is_err());
        for url in ["file:///etc/passwd", "ftp://a/", "gopher://a/", "HTTP://a", "//a"] {
            assert!(matches!(download(url, 100, Reach::Anywhere), Err(ClientError::NotHttp(_))), "{url}");
        }
    }
}
