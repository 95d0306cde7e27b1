//! Values of settings between their text and the typed struct: what kinds there are, what each allows, and how a
//! value is written.

use std::{fmt::Write as _, net::SocketAddr};

use super::bytes;
use crate::Contents;

/// A value of a setting, whatever its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// There is none, and nothing stands in for it.
    Unset,
    /// On or off.
    Bool(bool),
    /// A number, in the unit that the setting's name ends in.
    Number(u64),
    /// Words, an address, a path.
    Text(String),
    /// Several of them.
    List(Vec<String>),
    /// What a program has given, and nobody is shown.
    Hidden(Contents),
}

/// A setting as a flag, a variable or a file gives it, before it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A text. For a list, commas divide it.
    Text(String),
    /// An array of a file, or a flag that was given several times.
    List(Vec<String>),
}

impl Given {
    /// As a person would write it.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(texts) => texts.join(","),
        }
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`; the flag alone is `true`.
    Bool,
    /// A whole number.
    Number {
        /// The lowest.
        min: u64,
        /// The highest.
        max: u64,
    },
    /// A number of bytes, with or without a unit.
    Bytes {
        /// The lowest.
        min: u64,
        /// The highest.
        max: u64,
    },
    /// An IP address and a port.
    Addr,
    /// The path of a file or a folder.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text of some form.
    Text(Form),
    /// Texts of some form.
    List(Form),
}

/// The form of a text.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What is allowed, as the end of "allowed is ...".
    pub allowed: &'static str,
    /// What stands for the value in the help.
    pub value_name: &'static str,
    /// Whether a text has this form.
    pub is_right: fn(&str) -> bool,
}

impl Kind {
    /// Reads a value. What is allowed is told by [`allowed`](Self::allowed).
    pub fn parse(&self, given: &Given) -> Option<Value> {
        let text = match (self, given) {
            (Self::List(form), Given::List(texts)) => return list(texts.clone(), *form),
            (Self::List(form), Given::Text(text)) => {
                return list(text.split(',').map(str::to_owned).collect(), *form);
            }
            (_, Given::List(_)) => return None,
            (_, Given::Text(text)) => text,
        };
        Some(match self {
            Self::Bool => Value::Bool(text.parse().ok()?),
            Self::Number { min, max } => Value::Number(in_range(text.parse().ok()?, *min, *max)?),
            Self::Bytes { min, max } => Value::Number(in_range(bytes::parse(text)?, *min, *max)?),
            Self::Addr => Value::Text(text.parse::<SocketAddr>().ok()?.to_string()),
            Self::Path => text_if(!text.is_empty(), text)?,
            Self::Choice(words) => text_if(words.contains(&text.as_str()), text)?,
            Self::Text(form) => text_if((form.is_right)(text), text)?,
            // A list's texts have been taken above.
            Self::List(_) => return None,
        })
    }

    /// Whether a value is one of this kind, for those that a program has given: [`parse`](Self::parse) gives no other.
    pub(super) fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Unset | Value::Hidden(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::Number { min, max } | Self::Bytes { min, max }, Value::Number(number)) => {
                in_range(*number, *min, *max).is_some()
            }
            (Self::List(form), Value::List(texts)) => texts.iter().all(|text| (form.is_right)(text)),
            (_, Value::Text(text)) => self.parse(&Given::Text(text.clone())).is_some(),
            _ => false,
        }
    }

    /// What is allowed, for whoever gave something else.
    pub fn allowed(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Bytes { min, max } => {
                format!("bytes from {} to {}, as 65536, 64KiB or 1MiB", bytes::show(*min), bytes::show(*max))
            }
            Self::Addr => "an IP address and a port, as 127.0.0.1:6379 or [::1]:6379".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::Text(form) => form.allowed.to_owned(),
            Self::List(form) => format!("{}, several divided by commas", form.allowed),
        }
    }

    /// What stands for a value in the help.
    pub fn value_name(&self) -> &'static str {
        match self {
            Self::Bool => "true|false",
            Self::Number { .. } => "NUMBER",
            Self::Bytes { .. } => "BYTES",
            Self::Addr => "IP:PORT",
            Self::Path => "PATH",
            Self::Choice(_) => "WORD",
            Self::Text(form) | Self::List(form) => form.value_name,
        }
    }

    /// A value for people, as a flag would take it; what is hidden is not told.
    pub fn show(&self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Unset) => String::new(),
            (_, Value::Hidden(contents)) => contents.to_string(),
            (Self::Bytes { .. }, Value::Number(number)) => bytes::show(*number),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Bool(is_on)) => is_on.to_string(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::List(texts)) => texts.join(","),
        }
    }

    /// A value as TOML. `None` for one that is not set, and for one that is hidden.
    pub fn toml(&self, value: &Value) -> Option<String> {
        Some(match (self, value) {
            (_, Value::Unset | Value::Hidden(_)) => return None,
            (Self::Bytes { .. }, Value::Number(number)) => {
                let text = bytes::show(*number);
                if text.ends_with('B') { quote(&text) } else { text }
            }
            (_, Value::Number(_) | Value::Bool(_)) => self.show(value),
            (_, Value::Text(text)) => quote(text),
            (_, Value::List(texts)) => {
                format!("[{}]", texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", "))
            }
        })
    }
}

fn list(texts: Vec<String>, form: Form) -> Option<Value> {
    texts.iter().all(|text| (form.is_right)(text)).then_some(Value::List(texts))
}

fn in_range(number: u64, min: u64, max: u64) -> Option<u64> {
    (min..=max).contains(&number).then_some(number)
}

fn text_if(is_right: bool, text: &str) -> Option<Value> {
    is_right.then(|| Value::Text(text.to_owned()))
}

/// A basic string of [TOML](https://toml.io/en/v1.0.0#string).
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn what_a_kind_does_not_allow_is_no_value() {
        let number = Kind::Number { min: 2, max: 5 };
        assert_eq!(number.parse(&text("5")), Some(Value::Number(5)));
        for wrong in ["1", "6", "", " 3", "-3", "3s", "3.0"] {
            assert_eq!(number.parse(&text(wrong)), None, "{wrong}");
        }
        assert_eq!(Kind::Addr.parse(&text("localhost:1")), None);
        assert_eq!(Kind::Path.parse(&text("")), None);
        assert_eq!(Kind::Choice(&["a", "b"]).parse(&text("c")), None);
        assert_eq!(number.parse(&Given::List(vec!["3".into()])), None);
    }

    #[test]
    fn a_list_is_an_array_or_has_commas() {
        let form = Form { allowed: "something", value_name: "TEXT", is_right: |text| !text.is_empty() };
        let expected = Some(Value::List(vec!["a".into(), "b".into()]));
        assert_eq!(Kind::List(form).parse(&text("a,b")), expected);
        assert_eq!(Kind::List(form).parse(&Given::List(vec!["a".into(), "b".into()])), expected);
        assert_eq!(Kind::List(form).parse(&text("a,")), None);
    }

    #[test]
    fn what_a_program_has_given_is_not_shown() {
        let value = Value::Hidden(Contents::new("hunter2"));
        assert_eq!(Kind::Path.show(&value), "(given by the program)");
        assert_eq!(Kind::Path.toml(&value), None);
        assert_eq!(format!("{value:?}"), "Hidden(Contents((given by the program)))");
    }

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        for text in ["a\"b\\c", "tab\t, line\n, bell\u{7}, delete\u{7f}, \u{85}", "ä µ 🎉"] {
            let document = format!("name = {}", quote(text));
            let table = toml::de::DeTable::parse(&document).expect("it is TOML");
            assert_eq!(table.get_ref()["name"].get_ref().as_str(), Some(text));
        }
    }
}
