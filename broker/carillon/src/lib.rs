//! What the `carillon` binary does: its command line, with clients of any server, and a whole cluster in one process. The node
//! itself is `carillon-broker`.

pub mod cli;
mod dev;

pub use dev::run as dev;
