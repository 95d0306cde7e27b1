//! What the tests of the real binary share: servers as processes, and connections that speak bytes.

#![allow(clippy::missing_panics_doc, reason = "a failed expectation is a failed test")]

mod server;
pub mod transcript;
mod wire;

pub use server::Server;
pub use wire::{Wire, command};
