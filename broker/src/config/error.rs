//! What is wrong with a configuration. Each error is one line that names the setting, where it came from, what was
//! given and what is allowed.

use std::{io, path::PathBuf};

use super::SettingsError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{}:{line}: {what}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What the parser said.
        what: String,
    },
    /// A key that is no setting.
    #[error("{}:{line}: there is no setting '{key}'{advice}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// What may have been meant; empty if nobody knows.
        advice: String,
    },
    /// A value that a setting may not have.
    #[error("{place} '{value}': allowed is {allowed}")]
    Value {
        /// The setting, by its name where it was given: `--lease-ms`, `CARILLON_LEASE_MS`, `carillon.toml:3: lease-ms`.
        place: String,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// Settings that do not go together.
    #[error("{error}{}", told(origins))]
    Together {
        /// What is wrong.
        error: SettingsError,
        /// Where each of them came from, if they are not flags.
        origins: Vec<String>,
    },
}

/// What stands behind an error about several settings.
fn told(origins: &[String]) -> String {
    if origins.is_empty() { String::new() } else { format!(" ({})", origins.join(", ")) }
}

/// Most letters of a key or value that is told again.
const TOLD_CHARS_MAX: usize = 200;

/// A stranger's text as a part of one line.
pub(super) fn told_again(text: &str) -> String {
    let shortened: String = text.chars().take(TOLD_CHARS_MAX).collect();
    let more = if shortened.len() < text.len() { "..." } else { "" };
    format!("{}{more}", shortened.escape_debug())
}
