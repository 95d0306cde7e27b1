//! What arrives on a connection, value by value.

use carillon_proto::resp::{Value, ValueDecoder};

/// Longest string that is expected.
const LEN_MAX: usize = 1 << 26;

/// Received bytes, of which whole values are taken.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Where reads append.
    pub(super) bytes: Vec<u8>,
    taken: usize,
}

impl Incoming {
    /// The next value that is here.
    pub(super) fn next(&mut self) -> Option<Value> {
        let decoded = ValueDecoder::new(LEN_MAX).decode(&self.bytes[self.taken..]);
        if let Some((value, used)) = decoded.expect("the node speaks RESP") {
            self.taken += used;
            return Some(value);
        }
        self.bytes.drain(..self.taken);
        self.taken = 0;
        None
    }
}

/// Writes the payload of a message.
pub(super) fn payload(publisher: usize, sequence: usize, len: usize) -> Vec<u8> {
    let mut payload = format!("{publisher}:{sequence}:").into_bytes();
    payload.resize(payload.len().max(len), b'.');
    payload
}

/// Reads it: publisher and sequence number.
pub(super) fn numbers(payload: &[u8]) -> Option<(usize, usize)> {
    let mut parts = payload.split(|byte| *byte == b':');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
    Some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_its_numbers() {
        assert_eq!(numbers(&payload(3, 1234, 64)), Some((3, 1234)));
        assert_eq!(payload(3, 1234, 64).len(), 64);
        assert_eq!(numbers(b"something else"), None);
    }
}
