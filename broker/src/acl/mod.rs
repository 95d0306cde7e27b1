//! Users, their passwords, and what they may do. Pure: no sockets, no clock, no runtime.
//!
//! Rules are those of [Redis's ACL](https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/), and
//! so are the texts of errors. A [`Users`] is what the connections of a node are checked against at a moment; a
//! [`UserTable`] is what is kept of users, as text, wherever that is. The decisions are in `DESIGN.md` beside this file.

mod check;
mod command_set;
mod file;
mod log;
mod password;
mod rule;
mod selector;
mod table;
#[cfg(test)]
mod tests;
mod user;
mod users;

pub use check::Denied;
pub use file::{FileError, parse_file, write_file};
pub use log::{AclLog, Context, LogEntry, Reason};
pub use password::PasswordHash;
pub use rule::{Known, RuleError, merge_selectors, without_plain_passwords};
pub use selector::Selector;
pub use table::{Change, ChangeError, Changed, UserTable, from_text, to_text};
pub use user::{User, is_valid_name};
pub use users::{DEFAULT, Users};
