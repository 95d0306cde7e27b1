//! The Carillon broker: pub/sub for Socket.IO and everything else that uses Redis's.
//!
//! A program that is its own broker starts a [`Broker`] with [`Settings`], and uses it through [`Broker::client`], a
//! [`Client`](client::Client) without a socket. Other programs use the node's address, as they would use Redis's:
//!
//! ```no_run
//! use carillon_broker::{Broker, Settings, client::Event};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Clients of other programs come to 127.0.0.1:6379, operators to 127.0.0.1:9379.
//! let broker = Broker::start(Settings::default().data_dir("/var/lib/chat")).await?;
//!
//! let mut news = broker.client().subscribe(["news"]).await?;
//! broker.client().publish("news", "hello").await?;
//! if let Some(Event::Message(message)) = news.next().await.transpose()? {
//!     println!("{:?}", message.payload);
//! }
//! broker.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Several are a cluster when each has a `name`, a `peer_addr`, the same `peers` and the same `cluster_secret_file`: a publish at
//! one is heard at all, and any minority may go. They can be in one process, as in `examples/embedded_cluster.rs`, or each in an
//! instance of the application, as in `examples/embedded_chat.rs`. A secret need not lie in a file: see [`Contents`].
//!
//! # What stays
//!
//! What this page shows stays as it is from one version to the next, but for [what is new](https://semver.org); of [`RunError`]
//! and [`SettingsError`] that is what they say of themselves, and not what is inside. Other modules are hidden here: they are
//! the node's inside, public for the binary, the tests and the measurements of its repository.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `console`: the admin port shows people a page about the cluster.
//! - `service`: what a process needs that is a node and nothing else, as the binary is: signals, a configuration that is read
//!   again, systemd's notifications.
//!
//! # Where it runs
//!
//! On Linux and other Unix systems, on a tokio runtime with time and IO.

#[cfg(not(unix))]
compile_error!(
    "a Carillon node needs a Unix system: it watches and shares sockets in ways that others do not have"
);

/// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[doc(hidden)]
pub mod acl;
#[doc(hidden)]
pub mod admin;
#[doc(hidden)]
pub mod app;
mod bind;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod cluster;
pub mod config;
mod contents;
#[doc(hidden)]
pub mod hub;
mod lock;
#[doc(hidden)]
pub mod mesh;
#[doc(hidden)]
pub mod open_files;
#[cfg(test)]
mod pages;
#[doc(hidden)]
pub mod raft;
#[doc(hidden)]
pub mod server;

pub use app::{Broker, InProcess, RunError};
/// The client of the same version.
pub use carillon_client as client;
pub use config::{LogFormat, Settings, SettingsError, TlsClientAuth};
pub use contents::Contents;
pub use server::Log;
