//! The incremental decoder of replies and pushes: what a client reads.

use super::parse_integer;

/// Deepest nesting of aggregates that is accepted. Redis's own deepest reply (COMMAND) has 7 levels.
const DEPTH_MAX: usize = 32;

/// Elements for which room is made before they have arrived.
const RESERVED_MAX: usize = 64;

/// One value of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`
    Simple(String),
    /// `-ERR …`, or RESP3's `!` with any bytes (shown with replacement characters).
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$3`, also RESP3's verbatim strings, without their three-letter format.
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`
    Null,
    /// `#t` or `#f`
    Boolean(bool),
    /// `,1.5`
    Double(f64),
    /// `(123…`, its digits
    BigNumber(String),
    /// `*2`
    Array(Vec<Value>),
    /// `%1`
    Map(Vec<(Value, Value)>),
    /// `~2`
    Set(Vec<Value>),
    /// `>3`: came without a request.
    Push(Vec<Value>),
}

/// Bytes that are not RESP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A value begins with a byte that begins no value.
    #[error("unknown RESP type byte 0x{0:02x}")]
    UnknownType(u8),
    /// A number is expected and something else is there.
    #[error("'{0}' is not a RESP number")]
    InvalidNumber(String),
    /// Aggregates within aggregates, deeper than any server nests them.
    #[error("values nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// A string or an aggregate above the decoder's bound.
    #[error("length {0} is above the limit of {1}")]
    TooLong(i64, usize),
}

/// Decodes values from the front of a growing input.
///
/// A value that has not arrived whole is decoded again from its start; a client sees few large replies.
#[derive(Clone, Copy, Debug)]
pub struct ValueDecoder {
    len_max: usize,
}

impl ValueDecoder {
    /// A decoder that accepts strings of up to `len_max` bytes and aggregates of as many elements.
    pub fn new(len_max: usize) -> Self {
        Self { len_max }
    }

    /// Reads the value at the front of `input` and returns it with its length in bytes; `None` when it has
    /// not arrived whole.
    pub fn decode(&self, input: &[u8]) -> Result<Option<(Value, usize)>, ValueError> {
        let mut cursor = Cursor { input, at: 0, len_max: self.len_max };
        Ok(cursor.value(0)?.map(|value| (value, cursor.at)))
    }
}

struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
    len_max: usize,
}

impl<'a> Cursor<'a> {
    fn value(&mut self, depth: usize) -> Result<Option<Value>, ValueError> {
        if depth > DEPTH_MAX {
            return Err(ValueError::TooDeep);
        }
        let Some(&kind) = self.input.get(self.at) else { return Ok(None) };
        if !b"+-:$*%~>_#,(=!|".contains(&kind) {
            return Err(ValueError::UnknownType(kind));
        }
        self.at += 1;
        let Some(line) = self.line() else { return Ok(None) };
        let text = || String::from_utf8_lossy(line).into_owned();
        Ok(Some(match kind {
            b'+' => Value::Simple(text()),
            b'-' => Value::Error(text()),
            b'(' => Value::BigNumber(text()),
            b'_' => Value::Null,
            b'#' => Value::Boolean(line == b"t"),
            b':' => Value::Integer(number(line)?),
            b',' => Value::Double(text().parse().map_err(|_| ValueError::InvalidNumber(text()))?),
            b'$' | b'=' | b'!' => return self.string(kind, number(line)?),
            _ => return self.aggregate(kind, number(line)?, depth),
        }))
    }

    fn string(&mut self, kind: u8, len: i64) -> Result<Option<Value>, ValueError> {
        let Some(len) = self.length(len)? else { return Ok(Some(Value::Null)) };
        let Some(bytes) = self.input.get(self.at..self.at + len) else { return Ok(None) };
        if self.input.len() < self.at + len + 2 {
            return Ok(None);
        }
        self.at += len + 2;
        Ok(Some(match kind {
            b'!' => Value::Error(String::from_utf8_lossy(bytes).into_owned()),
            b'=' => Value::Bulk(bytes.get(4..).unwrap_or_default().to_vec()),
            _ => Value::Bulk(bytes.to_vec()),
        }))
    }

    fn aggregate(&mut self, kind: u8, len: i64, depth: usize) -> Result<Option<Value>, ValueError> {
        let Some(len) = self.length(len)? else { return Ok(Some(Value::Null)) };
        let elements = if matches!(kind, b'%' | b'|') { len * 2 } else { len };
        let mut values = Vec::with_capacity(elements.min(RESERVED_MAX));
        for _ in 0..elements {
            let Some(value) = self.value(depth + 1)? else { return Ok(None) };
            values.push(value);
        }
        Ok(Some(match kind {
            b'*' => Value::Array(values),
            b'~' => Value::Set(values),
            b'>' => Value::Push(values),
            // Attributes describe the value behind them, which is what the caller asked for.
            b'|' => return self.value(depth + 1),
            _ => {
                let mut values = values.into_iter();
                let mut pairs = Vec::with_capacity(len);
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    pairs.push((key, value));
                }
                Value::Map(pairs)
            }
        }))
    }

    /// `None` for the length -1 of a RESP2 null.
    fn length(&self, len: i64) -> Result<Option<usize>, ValueError> {
        if len == -1 {
            return Ok(None);
        }
        match usize::try_from(len) {
            Ok(fits) if fits <= self.len_max => Ok(Some(fits)),
            _ => Err(ValueError::TooLong(len, self.len_max)),
        }
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.input[self.at..];
        let end = memchr::memmem::find(rest, b"\r\n")?;
        self.at += end + 2;
        Some(&rest[..end])
    }
}

fn number(line: &[u8]) -> Result<i64, ValueError> {
    parse_integer(line).ok_or_else(|| ValueError::InvalidNumber(String::from_utf8_lossy(line).into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY_KIND: &[u8] = b"*9\r\n+OK\r\n-ERR x\r\n:-1\r\n$2\r\nhi\r\n_\r\n#t\r\n,1.5\r\n%1\r\n$1\r\nk\r\n~1\r\n=6\r\ntxt:ab\r\n>1\r\n$-1\r\n";

    #[test]
    fn every_kind_is_read() {
        let (value, used) = ValueDecoder::new(64).decode(EVERY_KIND).expect("valid").expect("whole");
        assert_eq!(used, EVERY_KIND.len());
        let Value::Array(values) = value else { panic!("an array was sent") };
        assert_eq!(
            values[7],
            Value::Map(vec![(Value::Bulk(b"k".to_vec()), Value::Set(vec![Value::Bulk(b"ab".to_vec())]),)])
        );
        assert_eq!(values[8], Value::Push(vec![Value::Null]));
    }

    #[test]
    fn a_value_that_is_not_whole_is_not_read() {
        for end in 0..EVERY_KIND.len() {
            assert_eq!(ValueDecoder::new(64).decode(&EVERY_KIND[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let decoder = ValueDecoder::new(64);
        assert_eq!(decoder.decode(b"$65\r\n"), Err(ValueError::TooLong(65, 64)));
        assert_eq!(decoder.decode(b"*-2\r\n"), Err(ValueError::TooLong(-2, 64)));
        assert_eq!(decoder.decode(&b"*1\r\n".repeat(64)), Err(ValueError::TooDeep));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ValueDecoder::new(1024).decode(&input);
        }
    }
}
