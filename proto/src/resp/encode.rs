//! Encoding of replies.

/// The version of RESP that a connection speaks: 2 until it says `HELLO 3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, what a connection begins with.
    #[default]
    Resp2,
    /// RESP3: maps, sets, pushes, verbatim strings and a null of their own.
    Resp3,
}

impl Protocol {
    /// The number in HELLO and CLIENT LIST.
    pub fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Appends replies to a buffer in the form of one protocol version.
///
/// Aggregates are a header followed by as many elements as it says; nothing checks that they follow.
#[derive(Debug)]
pub struct Encoder<'a> {
    buffer: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Encoder<'a> {
    /// An encoder that appends to `buffer`.
    pub fn new(buffer: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Self { buffer, protocol }
    }

    /// A status such as `+OK`; `text` must not hold a line end.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error, with its code as the first word. Line ends in `text` become spaces, as in Redis.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.buffer.push(b'-');
        let clean = |byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte };
        self.buffer.extend(text.as_ref().iter().map(clean));
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// An integer.
    pub fn integer(&mut self, value: impl itoa::Integer) {
        self.line(b':', itoa::Buffer::new().format(value).as_bytes());
    }

    /// A bulk string: any bytes.
    pub fn bulk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.header(b'$', bytes.len());
        self.buffer.extend_from_slice(bytes);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// The header of a bulk string of `len` bytes, whose bytes and line end the caller sends itself.
    pub fn bulk_header(&mut self, len: usize) {
        self.header(b'$', len);
    }

    /// A number as a bulk string.
    pub fn bulk_integer(&mut self, value: impl itoa::Integer) {
        self.bulk(itoa::Buffer::new().format(value));
    }

    /// A number with a fraction: a double in RESP3, a bulk string in RESP2.
    pub fn double(&mut self, value: f64) {
        let text = value.to_string();
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// Text for people: a verbatim string in RESP3, a bulk string in RESP2.
    pub fn verbatim(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        if self.protocol == Protocol::Resp2 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() + 4);
        self.buffer.extend_from_slice(b"txt:");
        self.buffer.extend_from_slice(text);
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// No value: `_` in RESP3, the null bulk string in RESP2.
    pub fn null(&mut self) {
        self.buffer.extend_from_slice(match self.protocol {
            Protocol::Resp2 => &b"$-1\r\n"[..],
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The header of an array of `len` elements.
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// The header of a map of `pairs` keys and values; a flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', pairs * 2),
            Protocol::Resp3 => self.header(b'%', pairs),
        }
    }

    /// The header of a set of `len` elements; an array in RESP2.
    pub fn set(&mut self, len: usize) {
        self.header(if self.protocol == Protocol::Resp2 { b'*' } else { b'~' }, len);
    }

    /// The header of an out-of-band push of `len` elements; an array in RESP2.
    pub fn push(&mut self, len: usize) {
        self.header(if self.protocol == Protocol::Resp2 { b'*' } else { b'>' }, len);
    }

    fn header(&mut self, kind: u8, len: usize) {
        self.line(kind, itoa::Buffer::new().format(len).as_bytes());
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.buffer.push(kind);
        self.buffer.extend_from_slice(text);
        self.buffer.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoder, Protocol};

    fn encoded(protocol: Protocol, write: impl FnOnce(&mut Encoder<'_>)) -> String {
        let mut buffer = Vec::new();
        write(&mut Encoder::new(&mut buffer, protocol));
        String::from_utf8(buffer).expect("tests write text")
    }

    #[test]
    fn each_version_has_its_own_form() {
        use Protocol::{Resp2, Resp3};
        for (protocol, expected) in [
            (Resp2, "*4\r\n*1\r\n*3\r\n$-1\r\n$2\r\nhi\r\n"),
            (Resp3, "%2\r\n~1\r\n>3\r\n_\r\n=6\r\ntxt:hi\r\n"),
        ] {
            let written = encoded(protocol, |encoder| {
                encoder.map(2);
                encoder.set(1);
                encoder.push(3);
                encoder.null();
                encoder.verbatim("hi");
            });
            assert_eq!(written, expected);
        }
    }

    #[test]
    fn errors_stay_on_one_line() {
        assert_eq!(encoded(Protocol::Resp2, |encoder| encoder.error("ERR a\r\nb")), "-ERR a  b\r\n");
    }
}
