//! Numbers of bytes with their units.

pub(super) const MIB: u64 = 1 << 20;
pub(super) const TIB: u64 = 1 << 40;

/// Units, by what Redis's `memtoull` (util.c) calls them: with a "b" they are powers of two.
const REDIS_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("k", 1_000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];

/// Units by the names that [IEC 80000-13](https://en.wikipedia.org/wiki/Binary_prefix) gives them, the largest first.
const BINARY_UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads what Redis reads: `64mb`, `1000`.
pub fn parse_redis(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let (_, factor) = REDIS_UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Reads what Redis reads, and the units that cannot be misunderstood: `64MiB`.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    match BINARY_UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)) {
        Some((_, factor)) => number.parse::<u64>().ok()?.checked_mul(*factor),
        None => parse_redis(text),
    }
}

/// In the largest unit that leaves a whole number.
pub(super) fn show(number: u64) -> String {
    match BINARY_UNITS.iter().find(|(_, factor)| number > 0 && number.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", number / factor),
        None => number.to_string(),
    }
}

fn split(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_redis_s_and_binary_ones() {
        for (text, expected) in [
            ("0", Some(0)),
            ("64k", Some(64_000)),
            ("64KB", Some(65_536)),
            ("64KiB", Some(65_536)),
            ("16MiB", Some(16 << 20)),
            ("2gib", Some(2 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("18446744073709551615k", None),
            ("", None),
            ("MiB", None),
            ("1 MiB", None),
            ("1.5MiB", None),
            ("-1", None),
            ("1TiB", Some(1 << 40)),
            ("1PiB", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse_redis("1MiB"), None);
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for (number, expected) in [(0, "0"), (1_000, "1000"), (1_024, "1KiB"), (3 << 29, "1536MiB")] {
            assert_eq!(show(number), expected);
            assert_eq!(parse(expected), Some(number));
        }
    }
}
