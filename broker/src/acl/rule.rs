//! Rules as words: what all of them have in common.

use super::PasswordHash;

/// Which names of commands and categories a rule may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Those of the table: what people say.
    Table,
    /// Any: what was kept by a newer version, which may know more. An unknown name is kept and has no effect.
    Any,
}

/// Why a rule is refused, in Redis's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a rule.
    #[error("Syntax error")]
    Syntax,
    /// A command or category that does not exist.
    #[error("Unknown command or category name in ACL")]
    UnknownName,
    /// A key pattern behind `~*`.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. \
         Try 'resetkeys' to start with an empty list of patterns"
    )]
    KeysAfterAll,
    /// A channel pattern behind `&*`.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
         Try 'resetchannels' to start with an empty list of channels"
    )]
    ChannelsAfterAll,
    /// A password to remove that is not there.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// Not the hash of a password.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    BadHash,
    /// `+client|id|x`.
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgOfSubcommand,
}

/// As C's `isspace`, and the zero byte: what names and patterns must not hold.
pub(super) fn has_spaces(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b' ' | b'\t'..=b'\r' | 0))
}

/// Puts the arguments of selectors that are spread over several words together: `(+ping`, `&a)` becomes `(+ping &a)`.
/// The error is the argument that opens a parenthesis which nothing closes.
pub fn merge_selectors<'a>(args: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, Vec<u8>> {
    let (mut rules, mut open) = (Vec::new(), None::<(&[u8], Vec<u8>)>);
    for arg in args {
        match &mut open {
            Some((_, selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(arg);
                if arg.ends_with(b")") {
                    rules.extend(open.take().map(|(_, selector)| selector));
                }
            }
            None if arg.starts_with(b"(") && !arg.ends_with(b")") => open = Some((arg, arg.to_vec())),
            None => rules.push(arg.to_vec()),
        }
    }
    open.map_or(Ok(rules), |(start, _)| Err(start.to_vec()))
}

/// The rule with a password in it replaced by its hash, so that no password is kept or sent to other nodes.
pub fn without_plain_passwords(rule: Vec<u8>) -> Vec<u8> {
    match rule.split_first() {
        Some((b'>', password)) => format!("#{}", PasswordHash::of(password)).into_bytes(),
        Some((b'<', password)) => format!("!{}", PasswordHash::of(password)).into_bytes(),
        _ => rule,
    }
}
