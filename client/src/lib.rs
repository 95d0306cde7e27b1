//! Async client for Carillon and any other server that speaks Redis's pub/sub protocol.
//!
//! A [`Client`] knows several servers and takes the next when one is lost. Its [`Subscription`]s go on by themselves: at
//! Carillon where they were, with each message once and in order; elsewhere with a [`Gap`] that says what may be missing.
//! It publishes and sends requests, each once.
//!
//! ```no_run
//! use carillon_client::{Client, Event};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379")?;
//! let mut news = client.subscribe(["news"]).await?;
//! let receivers = client.publish("news", "hello").await?;
//! println!("{receivers} received it, in the whole cluster");
//!
//! while let Some(event) = news.next().await {
//!     match event? {
//!         Event::Message(message) => println!("{:?} {:?}", message.channel, message.payload),
//!         Event::Gap(gap) => println!("missed from {:?} to {:?}: {}", gap.since, gap.until, gap.cause),
//!         // The connection was lost, or is back, with nothing missed.
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What may be missing
//!
//! Whatever happens to a connection is told in the stream, at its place: [`Event::Interrupted`] when it is lost, then either
//! [`Event::Resumed`], if all that was missed has come, or [`Event::Gap`]. Carillon's nodes keep the messages of the last seconds, so
//! that a client that comes back in time, to whichever of them, has missed nothing. A stream ends with an error, never in silence.
//!
//! # Readers that are slow
//!
//! Each subscription has a buffer of [`unread_bytes_max`](ClientSettings::unread_bytes_max). What happens above that is its
//! [`SlowReader`] policy: the connection waits, messages are dropped with a gap that counts them, or the subscription ends.
//!
//! # What to do about errors
//!
//! The client tries again by itself what can be tried again, for [`patience`](ClientSettings::patience). After that
//! [`ClientError::is_unsent`] says whether a request has certainly not been sent, and may be sent again without being done twice.
//!
//! # Passwords, TLS, sockets
//!
//! All of that is said by an [`Address`], as `redis://user:password@host`, `rediss://host` for TLS with the authorities of the system, or
//! `unix:///path`. [`Network::with_tls`] brings authorities and certificates of your own, a [`Transport`] streams of any kind. A
//! node in this process is reached by the client that its broker gives.
//!
//! # One level below
//!
//! A [`Connection`] is one socket: it publishes, sends requests, and carries one [`Subscriber`]; clones of it share the socket. In
//! RESP3 all of that works at once. A server that knows RESP2 only has connections that either subscribe or do the rest;
//! mixing them is an error that says so. Nothing is retried there, and nothing is lost in silence: what ends a connection is
//! given to every request in flight and to the subscriber, once it has read what came before.
//!
//! # Where it runs
//!
//! On Unix systems, on a tokio runtime with time and IO.

#[cfg(not(unix))]
compile_error!("this client needs a Unix system: it can connect to Unix sockets");

mod address;
mod client;
mod client_settings;
mod connection;
mod connection_settings;
mod conversation;
mod dialer;
mod driver;
mod error;
mod event;
mod handshake;
mod message;
mod order;
mod outlet;
mod proof;
mod publisher;
mod pushes;
mod queue;
mod session;
mod socket;
mod subscriber;
mod subscription;
mod tls;
mod transport;

/// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use address::{Address, Credentials, Endpoint};
pub use carillon_proto::resp::{Protocol, Value, ValueError};
pub use client::Client;
pub use client_settings::ClientSettings;
pub use connection::{Connection, Reply};
pub use connection_settings::ConnectionSettings;
pub use error::{AddressError, ConnectError, ConnectionLost, LossCause, RequestError};
pub use event::{ClientError, Event, Gap, GapCause};
pub use message::{Message, SubscriptionKind, Via};
pub use outlet::SlowReader;
pub use socket::Socket;
pub use subscriber::Subscriber;
pub use subscription::{Subscription, SubscriptionBuilder};
pub use tls::{Tls, TlsFileError};
pub use transport::{Network, Opening, ServerEnded, TlsFailed, Transport};
