//! The incremental decoder of requests: arrays of bulk strings, and inline commands.
//!
//! Bytes arrive split anywhere. The decoder remembers how far it has read into the request at the front of the
//! input, so that each byte is looked at once however small the pieces are; it never copies an argument, never
//! recurses, and allocates only for arguments that have really arrived, never for a length that was declared.

use super::{
    header::{SHORT_DIGITS_MAX, line_at, short_number},
    inline::split_words,
    parse_integer,
};
use crate::limits::{ARGUMENTS_MAX, LINE_BYTES_MAX};

/// Arguments for which the bookkeeping is kept between requests; a larger table is given back after use.
const SPANS_KEPT: usize = 32;

/// Up to here no argument with a short length can outgrow a span.
const SHORT_CURSOR_MAX: usize = u32::MAX as usize - 10_usize.pow(SHORT_DIGITS_MAX as u32) - 64;

/// Where one argument lies, relative to the start of its request.
type Span = (u32, u32);

/// One request: a command's name and its arguments, as slices of the input they were decoded from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    source: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Request<'a> {
    /// Number of arguments, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is nothing in it: an empty line or an empty array, which Redis passes over.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`; 0 is the command's name.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn arg(&self, index: usize) -> &'a [u8] {
        let (start, len) = self.spans[index];
        &self.source[start as usize..start as usize + len as usize]
    }

    /// The argument at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.arg(index))
    }

    /// The arguments from `start` on.
    pub fn args(&self, start: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let source = self.source;
        let spans = self.spans.get(start..).unwrap_or_default();
        spans.iter().map(move |&(at, len)| &source[at as usize..at as usize + len as usize])
    }
}

/// A request that outlives its input: one that is queued for EXEC.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    source: Box<[u8]>,
    spans: Box<[Span]>,
}

impl OwnedRequest {
    /// The request itself.
    pub fn as_request(&self) -> Request<'_> {
        Request { source: &self.source, spans: &self.spans }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.source.len() + size_of_val(&*self.spans)
    }
}

impl From<Request<'_>> for OwnedRequest {
    fn from(request: Request<'_>) -> Self {
        let mut source = Vec::with_capacity(request.args(0).map(<[u8]>::len).sum());
        let spans = request
            .args(0)
            .map(|arg| {
                let start = source.len() as u32;
                source.extend_from_slice(arg);
                (start, arg.len() as u32)
            })
            .collect();
        Self { source: source.into(), spans }
    }
}

/// Input after which a connection cannot be understood any more. The text is Redis's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number after `*` is not one, or too large.
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// The number after `$` is not one, negative, or above the bound on an argument.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// An argument does not begin with `$`.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    /// A quote in an inline command is not closed.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// An inline command is longer than [`LINE_BYTES_MAX`].
    #[error("Protocol error: too big inline request")]
    InlineTooBig,
    /// No line end within [`LINE_BYTES_MAX`] after `*`.
    #[error("Protocol error: too big mbulk count string")]
    MultibulkCountTooBig,
    /// No line end within [`LINE_BYTES_MAX`] after `$`.
    #[error("Protocol error: too big bulk count string")]
    BulkCountTooBig,
}

/// Decodes requests from the front of a growing input.
#[derive(Debug)]
pub struct RequestDecoder {
    argument_bytes_max: usize,
    spans: Vec<Span>,
    /// The words of an inline command, unquoted, one after the other: its spans point in here.
    inline_words: Vec<u8>,
    /// Bytes of the current request that have been understood.
    cursor: usize,
    /// Arguments that the current array still announces.
    missing: usize,
    /// Length of the argument that is being received, once its header has been read.
    bulk: Option<usize>,
    /// The last call returned a request: the next one starts afresh.
    finished: bool,
}

impl RequestDecoder {
    /// A decoder that accepts arguments of up to `argument_bytes_max` bytes.
    pub fn new(argument_bytes_max: usize) -> Self {
        Self {
            argument_bytes_max,
            spans: Vec::new(),
            inline_words: Vec::new(),
            cursor: 0,
            missing: 0,
            bulk: None,
            finished: false,
        }
    }

    /// Reads the request at the front of `input`.
    ///
    /// Returns the request and its length in bytes, or `None` when it is not complete. The next call must be
    /// given the input after that length, or, after `None`, the same input with more behind it.
    pub fn decode<'a>(&'a mut self, input: &'a [u8]) -> Result<Option<(Request<'a>, usize)>, ProtocolError> {
        if self.finished {
            self.reset();
        }
        if self.missing == 0 {
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {
                    if !self.read_array_header(input)? {
                        return Ok(None);
                    }
                }
                Some(_) => return self.decode_inline(input),
            }
        }
        while self.missing > 0 {
            if !self.read_argument(input)? {
                return Ok(None);
            }
        }
        self.finished = true;
        Ok(Some((Request { source: input, spans: &self.spans }, self.cursor)))
    }

    fn reset(&mut self) {
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT);
        self.inline_words = Vec::new();
        self.cursor = 0;
        self.bulk = None;
        self.finished = false;
    }

    /// Reads `*<count>\r\n`. False when it has not arrived whole.
    fn read_array_header(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        if let Some((count, digits)) = short_number(&input[1..]) {
            self.cursor = 1 + digits + 2;
            self.missing = count;
        } else {
            let Some(line) = line_at(input, 1, ProtocolError::MultibulkCountTooBig)? else {
                return Ok(false);
            };
            let count = parse_integer(line).ok_or(ProtocolError::InvalidMultibulkLength)?;
            self.cursor = 1 + line.len() + 2;
            // Zero and negative counts are passed over, as Redis does.
            self.missing = usize::try_from(count).unwrap_or(0);
        }
        if self.missing > ARGUMENTS_MAX {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        Ok(true)
    }

    /// Reads `$<length>\r\n<bytes>\r\n`. False when it has not arrived whole.
    fn read_argument(&mut self, input: &[u8]) -> Result<bool, ProtocolError> {
        let len = match self.bulk {
            Some(len) => len,
            None => match self.read_bulk_header(input)? {
                Some(len) => len,
                None => return Ok(false),
            },
        };
        let end = self.cursor + len;
        // Redis takes the two bytes behind the argument for its line end without looking at them.
        if input.len() < end + 2 {
            return Ok(false);
        }
        self.spans.push((self.cursor as u32, len as u32));
        self.cursor = end + 2;
        self.bulk = None;
        self.missing -= 1;
        Ok(true)
    }

    fn read_bulk_header(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if let Some([b'$', rest @ ..]) = input.get(self.cursor..)
            && let Some((len, digits)) = short_number(rest)
            && len <= self.argument_bytes_max
            && self.cursor < SHORT_CURSOR_MAX
        {
            self.cursor += 1 + digits + 2;
            self.bulk = Some(len);
            return Ok(Some(len));
        }
        let Some(line) = line_at(input, self.cursor, ProtocolError::BulkCountTooBig)? else {
            return Ok(None);
        };
        let [b'$', digits @ ..] = line else {
            // An empty line shows as the carriage return that ends it.
            return Err(ProtocolError::ExpectedBulk(input[self.cursor]));
        };
        let len = parse_integer(digits)
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= self.argument_bytes_max)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        // Spans are 32 bits wide; a request that outgrows them is far beyond any bound on a connection's input.
        if self.cursor + line.len() + 2 + len > u32::MAX as usize {
            return Err(ProtocolError::InvalidBulkLength);
        }
        self.cursor += line.len() + 2;
        self.bulk = Some(len);
        Ok(Some(len))
    }

    fn decode_inline<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<Option<(Request<'a>, usize)>, ProtocolError> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return if input.len() > LINE_BYTES_MAX { Err(ProtocolError::InlineTooBig) } else { Ok(None) };
        };
        if end > LINE_BYTES_MAX {
            return Err(ProtocolError::InlineTooBig);
        }
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        for word in split_words(line).ok_or(ProtocolError::UnbalancedQuotes)? {
            self.spans.push((self.inline_words.len() as u32, word.len() as u32));
            self.inline_words.extend_from_slice(&word);
        }
        self.finished = true;
        Ok(Some((Request { source: &self.inline_words, spans: &self.spans }, end + 1)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in pieces cut at `cuts` and returns the requests, and the error that ended them.
    fn decode_in_pieces(input: &[u8], cuts: &[usize]) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let mut decoder = RequestDecoder::new(1024);
        let (mut requests, mut start, mut ends) = (Vec::new(), 0, cuts.to_vec());
        ends.push(input.len());
        ends.sort_unstable();
        for end in ends {
            loop {
                match decoder.decode(&input[start..end]) {
                    Ok(Some((request, used))) => {
                        requests.push(request.args(0).map(<[u8]>::to_vec).collect());
                        start += used;
                    }
                    Ok(None) => break,
                    Err(error) => return (requests, Some(error)),
                }
            }
        }
        (requests, None)
    }

    fn encode(request: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", request.len()).into_bytes();
        for arg in request {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    proptest! {
        #[test]
        fn requests_survive_any_split(
            requests in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let input: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
            let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            prop_assert_eq!(decode_in_pieces(&input, &cuts), (requests, None));
        }

        #[test]
        fn any_input_gives_the_same_whole_or_in_single_bytes(
            input in prop::collection::vec(
                prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'"'), any::<u8>()],
                0..200),
        ) {
            let singles: Vec<usize> = (0..input.len()).collect();
            prop_assert_eq!(decode_in_pieces(&input, &[]), decode_in_pieces(&input, &singles));
        }
    }

    #[test]
    fn a_declared_length_reserves_nothing() {
        let mut decoder = RequestDecoder::new(usize::MAX >> 8);
        assert!(decoder.decode(b"*1048576\r\n$1000000000\r\nx").expect("only incomplete").is_none());
        assert!(decoder.spans.capacity() < 8);
    }

    #[test]
    fn broken_framing_has_the_errors_of_redis() {
        use ProtocolError as E;
        for (input, error) in [
            (&b"*abc\r\n"[..], E::InvalidMultibulkLength),
            (b"*+1\r\n", E::InvalidMultibulkLength),
            (b"*01\r\n", E::InvalidMultibulkLength),
            (b"*2147483648\r\n", E::InvalidMultibulkLength),
            (b"*1\r\nPING\r\n", E::ExpectedBulk(b'P')),
            (b"*1\r\n$abc\r\n", E::InvalidBulkLength),
            (b"*1\r\n$-1\r\n", E::InvalidBulkLength),
            (b"*1\r\n$1025\r\n", E::InvalidBulkLength),
            (b"PING \"a\"b\r\n", E::UnbalancedQuotes),
        ] {
            assert_eq!(decode_in_pieces(input, &[]).1, Some(error), "{}", input.escape_ascii());
        }
        let long = vec![b'1'; LINE_BYTES_MAX + 2];
        let array = [b"*", &long[..]].concat();
        let bulk = [b"*1\r\n$", &long[..]].concat();
        assert_eq!(decode_in_pieces(&array, &[]).1, Some(E::MultibulkCountTooBig));
        assert_eq!(decode_in_pieces(&bulk, &[]).1, Some(E::BulkCountTooBig));
        assert_eq!(decode_in_pieces(&long, &[]).1, Some(E::InlineTooBig));
    }

    #[test]
    fn empty_requests_are_passed_on_as_empty() {
        let (requests, error) = decode_in_pieces(b"*0\r\n*-1\r\n\r\n  \r\nPING\n", &[]);
        assert_eq!((requests.len(), error), (5, None));
        assert_eq!(requests[4], vec![b"PING".to_vec()]);
    }
}
