//! The Carillon broker: pub/sub for Socket.IO and everything else that uses Redis's.
//!
//! Layers, imports running downward only: [`app`] wires; [`config`] says what can be set; [`server`] is the
//! client plane; [`hub`] holds subscriptions and outboxes and knows neither sockets nor clocks.

/// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub mod acl;
pub mod admin;
pub mod app;
pub mod clock;
pub mod cluster;
pub mod config;
mod contents;
pub mod hub;
mod lock;
pub mod mesh;
pub mod open_files;
pub mod raft;
pub mod server;

pub use app::{Broker, InProcess};
pub use contents::Contents;
