//! Which types a setting can have in the struct.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use super::{LogFormat, TlsClientAuth, Value};
use crate::Contents;

/// A port that nobody but this machine reaches.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What becomes the value of a setting of type `T`: a number of that type, which one without a suffix is; for an address
/// `([127, 0, 0, 1], 6379)` or what `text.parse()?` makes of a text; texts and paths of any kind; for a list all that can be gone
/// through; for an `Option` what is in it.
#[diagnostic::on_unimplemented(
    message = "a setting of type `{T}` cannot be made of `{Self}`",
    note = "an address is ([127, 0, 0, 1], 6379) or \"127.0.0.1:6379\".parse()?, and a number has the type of the setting's field"
)]
pub trait IntoSetting<T> {
    /// Makes it one.
    fn into_setting(self) -> T;
}

/// Each of these is given as what it is, so that a number without a type gets the setting's.
macro_rules! as_they_are {
    ($($value:ty),+) => {
        $(impl IntoSetting<$value> for $value {
            fn into_setting(self) -> $value {
                self
            }
        })+
    };
}

as_they_are!(u8, u16, u32, u64, usize, bool, LogFormat, TlsClientAuth);

/// Each of these may be given as anything that says of itself that it is one.
macro_rules! as_others {
    ($($value:ty),+) => {
        $(impl<V: Into<$value>> IntoSetting<$value> for V {
            fn into_setting(self) -> $value {
                self.into()
            }
        })+
    };
}

as_others!(String, PathBuf, SocketAddr, Contents);

impl<I: IntoIterator<Item: Into<String>>> IntoSetting<Vec<String>> for I {
    fn into_setting(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T, V: IntoSetting<T>> IntoSetting<Option<T>> for V {
    fn into_setting(self) -> Option<T> {
        Some(self.into_setting())
    }
}

/// The type of a setting's field.
pub(super) trait Typed: Sized {
    /// `None` if the value is not of this type, which the row's kind has to rule out.
    fn from_value(value: Value) -> Option<Self>;
    fn to_value(&self) -> Value;
}

macro_rules! numbers {
    ($($number:ty),+) => {
        $(impl Typed for $number {
            fn from_value(value: Value) -> Option<Self> {
                let Value::Number(number) = value else { return None };
                number.try_into().ok()
            }

            fn to_value(&self) -> Value {
                // No setting's range goes beyond 64 bits.
                Value::Number(u64::try_from(*self).unwrap_or(u64::MAX))
            }
        })+
    };
}

numbers!(u8, u16, u32, u64, usize);

impl Typed for bool {
    fn from_value(value: Value) -> Option<Self> {
        let Value::Bool(is_on) = value else { return None };
        Some(is_on)
    }

    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Typed for String {
    fn from_value(value: Value) -> Option<Self> {
        let Value::Text(text) = value else { return None };
        Some(text)
    }

    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Typed for PathBuf {
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).map(Self::from)
    }

    fn to_value(&self) -> Value {
        Value::Text(self.display().to_string())
    }
}

impl Typed for Contents {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Hidden(contents) => Some(contents),
            value => PathBuf::from_value(value).map(Self::from),
        }
    }

    fn to_value(&self) -> Value {
        match self.path() {
            Some(path) => Value::Text(path.display().to_string()),
            None => Value::Hidden(self.clone()),
        }
    }
}

impl Typed for SocketAddr {
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value)?.parse().ok()
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Typed for Vec<String> {
    fn from_value(value: Value) -> Option<Self> {
        let Value::List(texts) = value else { return None };
        Some(texts)
    }

    fn to_value(&self) -> Value {
        Value::List(self.clone())
    }
}

impl<T: Typed> Typed for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        if value == Value::Unset { Some(None) } else { T::from_value(value).map(Some) }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Unset, T::to_value)
    }
}
