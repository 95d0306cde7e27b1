//! Settings that are one of some words.

use super::{Value, typed::Typed};

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Typed for LogFormat {
    fn from_value(value: Value) -> Option<Self> {
        match String::from_value(value)?.as_str() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let word = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        Value::Text(word.to_owned())
    }
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsClientAuth {
    /// None is asked for.
    No,
    /// It is checked if there is one.
    Optional,
    /// Without one nobody gets in.
    Required,
}

impl Typed for TlsClientAuth {
    fn from_value(value: Value) -> Option<Self> {
        match String::from_value(value)?.as_str() {
            "no" => Some(Self::No),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let word = match self {
            Self::No => "no",
            Self::Optional => "optional",
            Self::Required => "required",
        };
        Value::Text(word.to_owned())
    }
}
