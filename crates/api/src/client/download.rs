//! Fetching a file by URL.

mod public;
#[cfg(test)]
mod server;

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
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

/// Fetches at most `len_max` bytes from an `http://` or `https://` URL. A server on `https://` is one that the certificate
/// authorities vouch for which browsers trust, and it redirects to others like it alone.
///
/// # Errors
/// [`ClientError`]; [`ClientError::NotHttp`] for any other kind of URL.
pub fn download(url: &str, len_max: u64, reach: Reach) -> Result<Vec<u8>, ClientError> {
    let route = match reach {
        Reach::Anywhere => Route { guard: None, roots: RootCerts::WebPki },
        Reach::Public => Route { guard: Some(PublicOnly::default()), roots: RootCerts::WebPki },
    };
    fetch(url, len_max, route)
}

/// Which addresses are connected to, if not all, and whose word is taken for who is there.
struct Route {
    guard: Option<PublicOnly>,
    roots: RootCerts,
}

fn fetch(url: &str, len_max: u64, Route { guard, roots }: Route) -> Result<Vec<u8>, ClientError> {
    let is_secure = url.starts_with("https://");
    if !is_secure && !url.starts_with("http://") {
        return Err(ClientError::NotHttp(url.to_owned()));
    }
    let config = Agent::config_builder()
        .proxy(None)
        .https_only(is_secure)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .max_redirects(REDIRECTS_MAX)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(STALL_TIMEOUT))
        .timeout_global(Some(DOWNLOAD_TIMEOUT))
        .user_agent(concat!("mesto/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = match guard {
        None => Agent::new_with_config(config),
        Some(guard) => Agent::with_parts(config, DefaultConnector::default(), guard),
    };
    let failed = |error: ureq::Error| ClientError::Download { url: url.to_owned(), reason: error.to_string() };
    let mut answer = agent.get(url).call().map_err(failed)?;
    answer.body_mut().with_config().limit(len_max).read_to_vec().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::server::{Authority, Server, answer, redirect};
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn anywhere(url: &str, authority: &Authority) -> Result<Vec<u8>, ClientError> {
        fetch(url, 100, Route { guard: None, roots: authority.roots() })
    }

    /// As if of this machine's addresses the first one were public, and no other.
    fn guarded(url: &str, authority: &Authority) -> Result<Vec<u8>, ClientError> {
        let guard = PublicOnly::where_only(|address| address == HERE);
        fetch(url, 100, Route { guard: Some(guard), roots: authority.roots() })
    }

    #[track_caller]
    fn fails(fetched: Result<Vec<u8>, ClientError>, because: &str) {
        let Err(ClientError::Download { reason, .. }) = fetched else { panic!("{fetched:?}") };
        assert!(reason.contains(because), "{reason}");
    }

    #[test]
    fn who_asks_from_elsewhere_does_not_reach_this_machine() {
        let authority = Authority::new();
        for server in [Server::plain(HERE, answer("hi")), Server::secure(HERE, &authority, answer("hi"))] {
            for host in [
                "127.0.0.1",
                "localhost",
                "[::1]",
                "127.1",
                "2130706433",
                "0x7f000001",
                "0",
                "[::ffff:127.0.0.1]",
                "169.254.169.254",
                "10.0.0.1",
            ] {
                let refused = download(&server.url_as(host), 100, Reach::Public);
                assert!(matches!(refused, Err(ClientError::Download { .. })), "{host}: {refused:?}");
            }
            assert_eq!(server.connections(), 0);
        }
    }

    #[test]
    fn what_is_too_long_or_not_http_is_refused() {
        let authority = Authority::new();
        let long = "x".repeat(101);
        for (short, long) in [
            (Server::plain(HERE, answer("hi")), Server::plain(HERE, answer(&long))),
            (Server::secure(HERE, &authority, answer("hi")), Server::secure(HERE, &authority, answer(&long))),
        ] {
            assert_eq!(anywhere(&short.url_as("localhost"), &authority).unwrap(), b"hi");
            assert!(anywhere(&long.url_as("localhost"), &authority).is_err());
        }
        for url in ["file:///etc/passwd", "ftp://a/", "gopher://a/", "HTTP://a", "//a"] {
            assert!(matches!(download(url, 100, Reach::Anywhere), Err(ClientError::NotHttp(_))), "{url}");
        }
    }

    #[test]
    fn a_server_is_who_a_trusted_authority_says() {
        let (trusted, other) = (Authority::new(), Authority::new());
        let server = Server::secure(HERE, &trusted, answer("hi"));
        assert_eq!(anywhere(&server.url_as("localhost"), &trusted).unwrap(), b"hi");
        fails(anywhere(&server.url_as("localhost"), &other), "invalid peer certificate");
        // The certificate is for the name, not for the address.
        fails(anywhere(&server.url_as("127.0.0.1"), &trusted), "not valid for name");
        fails(download(&server.url_as("localhost"), 100, Reach::Anywhere), "UnknownIssuer");
        let plain = Server::plain(HERE, answer("hi"));
        let refused = anywhere(&plain.url_as("localhost").replace("http:", "https:"), &trusted);
        assert!(matches!(refused, Err(ClientError::Download { .. })), "{refused:?}");
    }

    #[test]
    fn a_redirect_reaches_no_further_than_the_first_request() {
        let authority = Authority::new();
        let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let private = Server::plain(elsewhere, answer("secret"));
        let public = Server::plain(HERE, answer("hi"));
        let to_public = Server::plain(HERE, redirect(&public.url_as("127.0.0.1")));
        let to_private = Server::plain(HERE, redirect(&private.url_as("127.0.0.2")));
        let twice = Server::plain(HERE, redirect(&to_private.url_as("127.0.0.1")));
        assert_eq!(guarded(&to_public.url_as("127.0.0.1"), &authority).unwrap(), b"hi");
        fails(guarded(&to_private.url_as("127.0.0.1"), &authority), "host not found");
        fails(guarded(&twice.url_as("127.0.0.1"), &authority), "host not found");
        assert_eq!(private.connections(), 0);
        let to_file = Server::plain(HERE, redirect("file:///etc/passwd"));
        assert!(guarded(&to_file.url_as("127.0.0.1"), &authority).is_err());
    }

    #[test]
    fn a_redirect_leads_from_https_to_https_and_ends() {
        let authority = Authority::new();
        let plain = Server::plain(HERE, answer("hi"));
        let secure = Server::secure(HERE, &authority, answer("hi"));
        let up = Server::plain(HERE, redirect(&secure.url_as("localhost")));
        let across = Server::secure(HERE, &authority, redirect(&secure.url_as("localhost")));
        let down = Server::secure(HERE, &authority, redirect(&plain.url_as("localhost")));
        assert_eq!(anywhere(&up.url_as("localhost"), &authority).unwrap(), b"hi");
        assert_eq!(anywhere(&across.url_as("localhost"), &authority).unwrap(), b"hi");
        fails(anywhere(&down.url_as("localhost"), &authority), "https");
        assert_eq!(plain.connections(), 0);
        let round = Server::plain(HERE, redirect("/"));
        assert!(anywhere(&round.url_as("localhost"), &authority).is_err());
        assert!(round.connections() <= REDIRECTS_MAX as usize + 1);
    }
}
