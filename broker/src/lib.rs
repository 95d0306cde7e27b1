//! The Carillon broker: pub/sub for Socket.IO and everything else that uses Redis's.
//!
//! A program that is its own broker starts with [`Broker`], [`Settings`](config::Settings) and, for what is not to lie in files,
//! [`Contents`]; [`Broker::client`] is a [`carillon_client::Client`] inside the process. This is what stays as it is from one
//! version to the next, but for [what is new](https://semver.org). The modules below are the node's inside: they are public for
//! the binary, the tests and the measurements of this repository, and change whenever they have to.
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
#[cfg(test)]
mod pages;
pub mod raft;
pub mod server;

pub use app::{Broker, InProcess};
pub use contents::Contents;
