//! What the tests of the real binary share: servers as processes, and connections that speak bytes.

#![allow(clippy::missing_panics_doc, reason = "a failed expectation is a failed test")]

mod cli;
mod server;
pub mod transcript;
mod wire;

pub use cli::{Ended, Running, run};
pub use server::{Server, free_addr};
pub use wire::{Wire, command};
