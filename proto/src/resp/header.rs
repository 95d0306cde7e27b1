//! The lines with numbers that RESP puts before arrays and bulk strings.

use super::request::ProtocolError;
use crate::limits::LINE_BYTES_MAX;

/// Digits of a number that [`short_number`] reads.
pub(super) const SHORT_DIGITS_MAX: usize = 6;

/// A number of a few digits that ends with its line, and how many they are. Nearly every header is one: a PUBLISH takes
/// a third less instructions than with a search for each line's end. `None` leaves all else to the long way.
pub(super) fn short_number(rest: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (digits, &byte) in rest.iter().take(SHORT_DIGITS_MAX + 1).enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + usize::from(byte - b'0'),
            b'\r' => {
                let is_plain = digits > 0 && (rest[0] != b'0' || digits == 1);
                // The byte behind the carriage return must have arrived.
                return (is_plain && digits <= SHORT_DIGITS_MAX && digits + 1 < rest.len())
                    .then_some((number, digits));
            }
            _ => return None,
        }
    }
    None
}

/// The line that starts at `start`, without its line end; `None` when the end has not arrived.
pub(super) fn line_at(
    input: &[u8],
    start: usize,
    too_big: ProtocolError,
) -> Result<Option<&[u8]>, ProtocolError> {
    let rest = &input[start..];
    match memchr::memchr(b'\r', rest) {
        // The byte behind the carriage return must have arrived; Redis does not ask what it is.
        Some(end) if end + 1 < rest.len() => Ok(Some(&rest[..end])),
        None if rest.len() > LINE_BYTES_MAX => Err(too_big),
        Some(_) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::parse_integer;

    #[test]
    fn a_short_number_is_what_the_long_way_reads() {
        for text in [
            "0",
            "7",
            "10",
            "999999",
            "1000000",
            "00",
            "01",
            "",
            "-1",
            "+1",
            "1 ",
            "1x",
            "18446744073709551616",
        ] {
            let line = format!("{text}\r\n");
            let long = parse_integer(text.as_bytes()).and_then(|number| usize::try_from(number).ok());
            if let Some((number, digits)) = short_number(line.as_bytes()) {
                assert_eq!((Some(number), digits), (long, text.len()), "{text}");
            } else {
                assert!(!matches!(text, "0" | "7" | "10" | "999999"), "{text} is short");
            }
            assert_eq!(short_number(&line.as_bytes()[..line.len() - 1]), None, "the line end is not whole");
        }
    }
}
