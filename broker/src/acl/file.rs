//! Redis's ACL file: one user a line, in the form of ACL LIST.

use std::collections::BTreeSet;

use super::{
    User, merge_selectors,
    rule::{Known, RuleError},
    user::is_valid_name,
};

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct FileError {
    /// The line, the first is 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: LineError,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It begins with something else.
    #[error("a line has to begin with the word 'user' and a name")]
    NoUser,
    /// A name that a user cannot have.
    #[error("user names can't contain spaces or null characters")]
    Name,
    /// The same user twice.
    #[error("Duplicate user found. A user can only be defined once in config files")]
    Duplicate,
    /// A selector without an end.
    #[error("Unmatched parenthesis in selector definition.")]
    Parenthesis,
    /// A rule.
    #[error("'{rule}': {error}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        error: RuleError,
    },
}

/// Reads the users of a file. Empty lines and those that begin with `#` are left out.
pub fn parse_file(text: &[u8]) -> Result<Vec<User>, FileError> {
    let (mut users, mut names) = (Vec::new(), BTreeSet::new());
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let user = parse_line(line)
            .and_then(|user| names.insert(user.name.clone()).then_some(user).ok_or(LineError::Duplicate))
            .map_err(|what| FileError { line: at + 1, what })?;
        users.push(user);
    }
    Ok(users)
}

fn parse_line(line: &[u8]) -> Result<User, LineError> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (Some(b"user"), Some(name)) = (words.next(), words.next()) else { return Err(LineError::NoUser) };
    if !is_valid_name(name) {
        return Err(LineError::Name);
    }
    let mut user = User::new(name);
    for rule in merge_selectors(words).map_err(|_| LineError::Parenthesis)? {
        user.apply(&rule, Known::Table)
            // What may be a password is not for a log.
            .map_err(|error| LineError::Rule { rule: shown(&rule), error })?;
    }
    Ok(user)
}

/// A rule as it may be shown: a password is not.
fn shown(rule: &[u8]) -> String {
    match rule {
        [sign @ (b'>' | b'<' | b'#' | b'!'), ..] => format!("{}(redacted)", char::from(*sign)),
        _ => String::from_utf8_lossy(rule).into_owned(),
    }
}

/// The file of these users.
pub fn write_file<'a>(users: impl IntoIterator<Item = &'a User>) -> Vec<u8> {
    let lines = users.into_iter().map(|user| [b"user ", &*user.name, b" ", &user.describe(), b"\n"].concat());
    lines.flatten().collect()
}
