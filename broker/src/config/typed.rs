//! Which types a setting can have in the struct.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use super::Value;

/// A port that nobody but this machine reaches.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
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
