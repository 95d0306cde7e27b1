//! Where a server is, and as whom to speak to it.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::AddressError;

/// Redis's port, where none is said.
const PORT_DEFAULT: u16 = 6379;

/// A server's address, with the credentials that a URL may hold.
///
/// Parsed from `host:port`, `host`, `redis://[[user]:password@]host[:port][/database]`, the same with `rediss://` for TLS,
/// or `unix:///path`.
/// Channels do not belong to databases, so the number of one is accepted and means nothing.
///
/// ```
/// use carillon_client::{Address, Endpoint};
///
/// let address: Address = "rediss://chat:a%20password@broker.example".parse()?;
/// assert_eq!(address.to_string(), "rediss://broker.example:6379", "without credentials");
/// assert_eq!(Address::new(Endpoint::Unix("/run/carillon.sock".into())), "unix:///run/carillon.sock".parse()?);
/// # Ok::<(), carillon_client::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// What to authenticate with, if anything.
    pub credentials: Option<Credentials>,
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// A host and a port.
    Tcp {
        /// A name or an IP address; IPv6 without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A host and a port where TLS is spoken.
    Tls {
        /// A name or an IP address; IPv6 without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// What the server's certificate has to be for: the host that was asked for, also when `host` is one of its
        /// addresses.
        name: String,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// A server in this process, by its name. No text is parsed to it: only a [`Transport`](crate::Transport) that the
    /// server gives reaches it.
    InProcess(String),
}

/// A password, and the user it belongs to. Its `Debug` form does not show the password.
///
/// ```
/// use carillon_client::{Address, Credentials};
///
/// let credentials = Credentials::new("a password, as it is: @:/").for_user("chat");
/// let address = "broker.example:6379".parse::<Address>()?.with_credentials(credentials);
/// # Ok::<(), carillon_client::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user; the server's default user if none.
    pub username: Option<String>,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// The password of the server's default user.
    pub fn new(password: impl Into<String>) -> Self {
        Self { username: None, password: password.into() }
    }

    /// The same for a user.
    #[must_use]
    pub fn for_user(self, username: impl Into<String>) -> Self {
        Self { username: Some(username.into()), ..self }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &"…")
            .finish()
    }
}

/// The form in which it can be parsed again, if it can be.
impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Tls { host, port, .. } if host.contains(':') => {
                write!(formatter, "rediss://[{host}]:{port}")
            }
            Self::Tls { host, port, .. } => write!(formatter, "rediss://{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::InProcess(name) => write!(formatter, "in-process:{name}"),
        }
    }
}

/// The endpoint alone: credentials do not belong into messages and logs.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(formatter)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text).map_err(|problem| AddressError { address: without_credentials(text), problem })
    }
}

impl Address {
    /// An endpoint, without credentials.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, credentials: None }
    }

    /// The same with credentials, whatever it had.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    fn over_tls(self) -> Self {
        match self.endpoint {
            Endpoint::Tcp { host, port } => {
                let name = host.clone();
                Self { endpoint: Endpoint::Tls { host, port, name }, credentials: self.credentials }
            }
            _ => self,
        }
    }
}

fn parse(text: &str) -> Result<Address, &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        if text.contains('@') {
            return Err("credentials need the form redis://user:password@host:port");
        }
        return Ok(Address { endpoint: tcp(text)?, credentials: None });
    };
    match scheme {
        "redis" => parse_redis(rest),
        "rediss" => parse_redis(rest).map(Address::over_tls),
        "unix" if rest.starts_with('/') && rest.len() > 1 => {
            Ok(Address { endpoint: Endpoint::Unix(rest.into()), credentials: None })
        }
        "unix" => Err("a Unix socket needs an absolute path, as in unix:///run/carillon.sock"),
        _ => Err("the scheme must be redis://, rediss:// or unix://"),
    }
}

fn parse_redis(rest: &str) -> Result<Address, &'static str> {
    // A password may hold '@' and '/' only as %40 and %2F.
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(parse_credentials(credentials)?), rest),
        None => (None, rest),
    };
    let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
    if !database.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("behind the host there can only be the number of a database");
    }
    Ok(Address { endpoint: tcp(host)?, credentials })
}

/// `redis://word@host` is a password to redis-cli and a user to other clients: it is refused.
fn parse_credentials(text: &str) -> Result<Credentials, &'static str> {
    let (username, password) =
        text.split_once(':').ok_or("credentials are written :password@ or user:password@, with the colon")?;
    let username = percent_decoded(username)?;
    Ok(Credentials {
        username: (!username.is_empty()).then_some(username),
        password: percent_decoded(password)?,
    })
}

fn tcp(text: &str) -> Result<Endpoint, &'static str> {
    const PORT_PROBLEM: &str = "the port must be a number from 1 to 65535";
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or("the bracket of an IPv6 address is not closed")?;
        let port = if behind.is_empty() { None } else { Some(behind.strip_prefix(':').ok_or(PORT_PROBLEM)?) };
        (host, port)
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address needs brackets, as in [::1]:6379");
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() || host.contains(|symbol: char| symbol.is_whitespace() || "/?#".contains(symbol)) {
        return Err("there is no host in it; the form is host:port");
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(PORT_PROBLEM)?,
    };
    Ok(Endpoint::Tcp { host: host.to_owned(), port })
}

fn percent_decoded(text: &str) -> Result<String, &'static str> {
    const PROBLEM: &str = "a % in credentials must be followed by two hexadecimal digits, and make UTF-8";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(PROBLEM) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(PROBLEM);
        bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| PROBLEM)
}

/// What of an address may be shown in an error.
fn without_credentials(text: &str) -> String {
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…@{host}"),
        None => format!("…@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_form_is_read_and_shown_in_its_shortest() {
        for (text, shown) in [
            ("localhost:7000", "localhost:7000"),
            ("broker", "broker:6379"),
            ("[::1]:7000", "[::1]:7000"),
            ("[::1]", "[::1]:6379"),
            ("redis://broker", "broker:6379"),
            ("redis://broker:7000/0", "broker:7000"),
            ("redis://user:secret@[::1]:7000/", "[::1]:7000"),
            ("rediss://broker", "rediss://broker:6379"),
            ("rediss://:secret@[::1]:7000/1", "rediss://[::1]:7000"),
            ("unix:///run/carillon.sock", "unix:///run/carillon.sock"),
        ] {
            assert_eq!(address(text).to_string(), shown);
            assert_eq!(address(shown).endpoint, address(text).endpoint);
        }
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let both = address("redis://ann:a%40b%2f:c@broker").credentials.expect("has credentials");
        assert_eq!((both.username.as_deref(), both.password.as_str()), (Some("ann"), "a@b/:c"));
        assert!(!format!("{both:?}").contains("a@b"));
        let password = address("redis://:secret@broker").credentials.expect("has credentials");
        assert_eq!((password.username, password.password.as_str()), (None, "secret"));
    }

    #[test]
    fn other_forms_are_refused_without_showing_a_password() {
        for text in [
            "",
            ":6379",
            "broker:",
            "broker:0",
            "broker:65536",
            "broker:x",
            "::1",
            "[::1",
            "[::1]6379",
            "a b",
            "http://broker",
            "unix://relative",
            "unix:///",
            "rediss://:secret@",
            "secret@broker",
            "redis://secret@broker",
            "redis://:secret%4@broker",
            "redis://:secret@broker/x",
            "redis://:secret@broker?db=1",
        ] {
            let error = Address::from_str(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
