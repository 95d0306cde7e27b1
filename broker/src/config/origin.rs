//! Where a setting's value came from.

use std::{fmt, path::Path, sync::Arc};

use super::Row;

/// Where a value came from, from the weakest to the strongest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A configuration file.
    File {
        /// Its path, as it was given.
        path: Arc<Path>,
        /// The line of the key, counted from 1.
        line: usize,
    },
    /// Its environment variable.
    Variable,
    /// Its flag.
    Flag,
}

impl Origin {
    /// With the name that the setting has there.
    pub fn of(&self, row: &Row) -> impl fmt::Display + use<> {
        match self {
            Self::Default => "default".to_owned(),
            Self::File { path, line } => format!("{}:{line}", path.display()),
            Self::Variable => row.variable.to_owned(),
            Self::Flag => format!("--{}", row.name),
        }
    }
}
