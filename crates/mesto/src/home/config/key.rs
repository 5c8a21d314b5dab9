//! The table of settings.

use std::{net::AddrParseError, ops::RangeInclusive, str::FromStr};

use libp2p::{Multiaddr, multiaddr};
use mesto_governance::action::{NAME_LEN_MAX, is_alias};
use serde_json::json;
use toml_edit::Value;

use super::Config;

/// A setting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// [`Config::name`].
    Name,
    /// [`Config::api_listen`].
    ApiListen,
    /// [`Config::api_hosts`].
    ApiHosts,
    /// [`Config::api_origins`].
    ApiOrigins,
    /// [`Config::pages_domain`].
    PagesDomain,
    /// [`Config::listen`].
    Listen,
    /// [`Config::bootstrap`].
    Bootstrap,
    /// [`Config::mdns`].
    Mdns,
    /// [`Config::log`].
    Log,
    /// [`Config::call_memory_bytes`].
    CallMemoryBytes,
    /// [`Config::call_time_ms`].
    CallTimeMs,
    /// [`Config::blob_bytes`].
    BlobBytes,
}

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// It should be text.
    #[error("must be text")]
    NotText,
    /// It should be a switch.
    #[error("must be true or false")]
    NotSwitch,
    /// It should be a number of some range.
    #[error("must be a number from {} to {}", .0.start(), .0.end())]
    NotInRange(RangeInclusive<u64>),
    /// It should be a list of texts.
    #[error("must be a list of texts")]
    NotList,
    /// It should be an address with a port.
    #[error("must be an address and a port, such as 127.0.0.1:2480: {0}")]
    NotSocketAddress(AddrParseError),
    /// An element should be a multiaddress.
    #[error("must hold multiaddresses, such as /ip4/0.0.0.0/tcp/2481, which `{text}` is not: {source}")]
    NotMultiaddress {
        /// The element.
        text: String,
        /// What is wrong with it.
        source: multiaddr::Error,
    },
    /// It should be a name.
    #[error("must be a name of at most {NAME_LEN_MAX} bytes, without control characters")]
    NotName,
    /// An element should be a host name.
    #[error("must hold host names without a port, such as node.example.org, which `{0}` is not")]
    NotHostName(String),
    /// An element should be an origin.
    #[error("must hold origins, such as https://app.example.org, which `{0}` is not")]
    NotOrigin(String),
    /// It should be a log filter.
    #[error("must be a level, such as info, or directives, such as info,mesto_net=debug: {0}")]
    NotLogFilter(tracing_subscriber::filter::ParseError),
}

/// A module of wasm32 cannot address more than 4 GiB, nor start in much less than 1 MiB.
const CALL_MEMORY_BYTES: RangeInclusive<u64> = 1 << 20..=4 << 30;

/// A call of an hour has gone wrong.
const CALL_TIME_MS: RangeInclusive<u64> = 1..=3_600_000;

/// TOML's numbers end at 2^63 - 1.
const BLOB_BYTES: RangeInclusive<u64> = 0..=i64::MAX as u64;

impl Key {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Name,
        Self::ApiListen,
        Self::ApiHosts,
        Self::ApiOrigins,
        Self::PagesDomain,
        Self::Listen,
        Self::Bootstrap,
        Self::Mdns,
        Self::Log,
        Self::CallMemoryBytes,
        Self::CallTimeMs,
        Self::BlobBytes,
    ];

    /// Its name in the file, with a dot after its table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::ApiListen => "api_listen",
            Self::ApiHosts => "api_hosts",
            Self::ApiOrigins => "api_origins",
            Self::PagesDomain => "pages_domain",
            Self::Listen => "listen",
            Self::Bootstrap => "bootstrap",
            Self::Mdns => "mdns",
            Self::Log => "log",
            Self::CallMemoryBytes => "limits.call_memory_bytes",
            Self::CallTimeMs => "limits.call_time_ms",
            Self::BlobBytes => "limits.blob_bytes",
        }
    }

    /// The key with a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// Its environment variable: `MESTO_LIMITS_CALL_TIME_MS` for `limits.call_time_ms`.
    #[must_use]
    pub fn variable(self) -> String {
        format!("MESTO_{}", self.name().to_ascii_uppercase().replace('.', "_"))
    }

    /// The value that a text on the command line or in the environment means. A list's elements stand between commas.
    ///
    /// # Errors
    /// [`Misfit::NotSwitch`], [`Misfit::NotInRange`].
    pub fn parse(self, text: &str) -> Result<Value, Misfit> {
        match self {
            Self::Name | Self::ApiListen | Self::PagesDomain | Self::Log => Ok(Value::from(text)),
            Self::ApiHosts | Self::ApiOrigins | Self::Listen | Self::Bootstrap => {
                Ok(text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect())
            }
            Self::Mdns => match text {
                "true" | "1" => Ok(Value::from(true)),
                "false" | "0" => Ok(Value::from(false)),
                _ => Err(Misfit::NotSwitch),
            },
            Self::CallMemoryBytes => parse_number(text, CALL_MEMORY_BYTES),
            Self::CallTimeMs => parse_number(text, CALL_TIME_MS),
            Self::BlobBytes => parse_number(text, BLOB_BYTES),
        }
    }

    /// Checks a value and puts it into the settings.
    pub(super) fn assign(self, config: &mut Config, value: &Value) -> Result<(), Misfit> {
        match self {
            Self::Name => {
                let name = text(value)?;
                if !is_alias(name) {
                    return Err(Misfit::NotName);
                }
                config.name = Some(name.to_owned()).filter(|name| !name.is_empty());
            }
            Self::ApiListen => config.api_listen = text(value)?.parse().map_err(Misfit::NotSocketAddress)?,
            Self::ApiHosts => config.api_hosts = texts(value, is_host_name, Misfit::NotHostName)?,
            Self::ApiOrigins => config.api_origins = texts(value, is_origin, Misfit::NotOrigin)?,
            Self::PagesDomain => {
                let domain = text(value)?;
                if !is_host_name(domain) {
                    return Err(Misfit::NotHostName(domain.to_owned()));
                }
                domain.clone_into(&mut config.pages_domain);
            }
            Self::Listen => config.listen = addresses(value)?,
            Self::Bootstrap => config.bootstrap = addresses(value)?,
            Self::Mdns => config.mdns = value.as_bool().ok_or(Misfit::NotSwitch)?,
            Self::Log => {
                let text = text(value)?;
                tracing_subscriber::EnvFilter::builder().parse(text).map_err(Misfit::NotLogFilter)?;
                text.clone_into(&mut config.log);
            }
            Self::CallMemoryBytes => config.call_memory_bytes = number(value, CALL_MEMORY_BYTES)?,
            Self::CallTimeMs => config.call_time_ms = number(value, CALL_TIME_MS)?,
            Self::BlobBytes => config.blob_bytes = number(value, BLOB_BYTES)?,
        }
        Ok(())
    }

    /// Its value as JSON.
    pub(super) fn json(self, config: &Config) -> serde_json::Value {
        let texts = |addresses: &[Multiaddr]| addresses.iter().map(ToString::to_string).collect();
        match self {
            Self::Name => json!(config.name),
            Self::ApiListen => json!(config.api_listen),
            Self::ApiHosts => json!(config.api_hosts),
            Self::ApiOrigins => json!(config.api_origins),
            Self::PagesDomain => json!(config.pages_domain),
            Self::Listen => texts(&config.listen),
            Self::Bootstrap => texts(&config.bootstrap),
            Self::Mdns => json!(config.mdns),
            Self::Log => json!(config.log),
            Self::CallMemoryBytes => json!(config.call_memory_bytes),
            Self::CallTimeMs => json!(config.call_time_ms),
            Self::BlobBytes => json!(config.blob_bytes),
        }
    }

    /// Whether some keys are in a table of this name.
    pub(super) fn has_table(name: &str) -> bool {
        Self::ALL.into_iter().any(|key| key.name().split_once('.').is_some_and(|(table, _)| table == name))
    }

    /// All names, for people.
    pub(super) fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

fn text(value: &Value) -> Result<&str, Misfit> {
    value.as_str().ok_or(Misfit::NotText)
}

fn number(value: &Value, range: RangeInclusive<u64>) -> Result<u64, Misfit> {
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    number.filter(|number| range.contains(number)).ok_or(Misfit::NotInRange(range))
}

fn parse_number(text: &str, range: RangeInclusive<u64>) -> Result<Value, Misfit> {
    let number = i64::from_str(&text.replace('_', "")).map_err(|_| Misfit::NotInRange(range))?;
    Ok(Value::from(number))
}

fn texts(value: &Value, good: fn(&str) -> bool, misfit: fn(String) -> Misfit) -> Result<Vec<String>, Misfit> {
    let elements = value.as_array().ok_or(Misfit::NotList)?;
    let texts = elements.iter().map(|element| {
        let text = element.as_str().ok_or(Misfit::NotList)?;
        if good(text) { Ok(text.to_owned()) } else { Err(misfit(text.to_owned())) }
    });
    texts.collect()
}

/// Labels of letters, digits and hyphens between dots (RFC 1123), 253 characters at most.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Scheme, host, and perhaps a port, as browsers write them: lower case, no path, not even a slash.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = |rest: &str| match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (is_host(host), port.parse::<u16>().is_ok()),
        _ => (is_host(rest), true),
    };
    rest.is_some_and(|rest| authority(rest) == (true, true)) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    is_host_name(host) || address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn addresses(value: &Value) -> Result<Vec<Multiaddr>, Misfit> {
    let elements = value.as_array().ok_or(Misfit::NotList)?;
    elements
        .iter()
        .map(|element| {
            let text = element.as_str().ok_or(Misfit::NotList)?;
            text.parse().map_err(|source| Misfit::NotMultiaddress { text: text.to_owned(), source })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_and_origins_are_what_browsers_send() {
        for good in ["localhost", "node.example.org", "a-b.c", "192.168.1.7"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", ".", "a..b", "-a", "a-", "a_b", "a:1", "a/b", "*", "*.example.org"] {
            assert!(!is_host_name(bad), "{bad}");
        }
        for good in ["http://localhost:3000", "https://app.example.org", "http://[::1]:8080", "http://127.0.0.1"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "app.example.org",
            "https://app.example.org/",
            "https://App.example.org",
            "http://a:b",
            "http://",
            "ftp://a",
            "http://user@a",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
