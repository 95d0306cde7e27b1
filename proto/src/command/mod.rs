//! The one table of commands: what a node understands, what COMMAND tells clients about it, and what the
//! documentation lists.
//!
//! Names, arities, flags, categories and key positions are those of
//! [Redis's own commands](https://redis.io/docs/latest/commands/); clients and cluster tools act on them.

mod flags;
mod spec;
mod subcommands;
mod table;

pub use flags::{Categories, Flags};
pub use spec::{Channels, CommandSpec, Keys};
pub use table::{COMMANDS, CommandId, all, count, find, find_full};
