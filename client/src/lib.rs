//! Async client for Carillon and any other server that speaks Redis's pub/sub protocol.
//!
//! A [`Client`] knows several servers and takes the next when one is lost. Its [`Subscription`]s go on by themselves: at
//! Carillon where they were, with each message once and in order; elsewhere with a [`Gap`] that says what may be missing.
//! It publishes and sends requests, each once.
//!
//! A [`Connection`] is one socket, below that: it publishes, sends requests, and carries one [`Subscriber`]; clones of it
//! share the socket. In RESP3 all of that works at once. A server that knows RESP2 only has connections that either
//! subscribe or do the rest; mixing them is an error that says so. Nothing is retried there, and nothing is lost in silence:
//! what ends a connection is given to every request in flight and to the subscriber, once it has read what came before.
//!
//! ```no_run
//! use carillon_client::{Address, Connection, ConnectionSettings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let address: Address = "redis://127.0.0.1:6379".parse()?;
//! let connection = Connection::open(&address, ConnectionSettings::default()).await?;
//! let mut subscriber = connection.subscribe(["news"]).await?;
//!
//! let receivers = connection.publish("news", "hello").await?;
//! println!("{receivers} received it");
//!
//! // Ends with the reason why the connection was lost.
//! loop {
//!     let message = subscriber.next().await?;
//!     println!("{:?} {:?}", message.channel, message.payload);
//! }
//! # }
//! ```

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
