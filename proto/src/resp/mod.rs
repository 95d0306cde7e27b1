//! RESP2 and RESP3, as the [Redis documentation](https://redis.io/docs/latest/develop/reference/protocol-spec/)
//! specifies them and as redis-server treats the cases that the specification leaves open.

mod encode;
mod header;
mod inline;
mod request;
mod value;

pub use encode::{Encoder, Protocol};
pub use request::{OwnedRequest, ProtocolError, Request, RequestDecoder};
pub use value::{Value, ValueDecoder, ValueError};

/// Reads a decimal integer the strict way Redis does: no sign but `-`, no leading zero, no space, no overflow.
pub fn parse_integer(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, digits),
    };
    match digits {
        [b'0'] => return if negative { None } else { Some(0) },
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value: i64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(digit - b'0');
        // Built up below zero, where one more value fits than above.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::parse_integer;

    #[test]
    fn integers_are_read_as_strictly_as_redis_reads_them() {
        assert_eq!(parse_integer(b"0"), Some(0));
        assert_eq!(parse_integer(b"-1"), Some(-1));
        assert_eq!(parse_integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
        for refused in ["", "-", "-0", "+1", "01", " 1", "1 ", "1a", "9223372036854775808"] {
            assert_eq!(parse_integer(refused.as_bytes()), None, "{refused:?}");
        }
    }
}
