//! What a server sends, read in place: the load side must cost little beside the server that it measures.
//!
//! Only what publishers and subscribers get is understood. Anything else ends the run, as it would spoil its figures.

/// One reply or push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A delivered message.
    Message {
        /// What was published.
        payload: &'a [u8],
    },
    /// One subscription is confirmed.
    Subscribed,
    /// The number of receivers that PUBLISH answers.
    Receivers(i64),
    /// NATS has taken a message or a subscription.
    Accepted,
    /// Something that needs no answer.
    Nothing,
    /// An error, without its `-`.
    Error(&'a [u8]),
    /// A status or a string.
    Other,
}

/// Bytes that no server of pub/sub sends here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it sent what is no reply to PUBLISH and no message")]
pub(super) struct Unexpected;

/// Elements of the longest push, `pmessage`.
const ELEMENTS_MAX: usize = 4;

/// Digits of the longest number, with its sign.
const DIGITS_MAX: usize = 20;

/// Longest line that a server sends: an error, or what NATS says of itself, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The frame at the front of `input` and its length in bytes; `None` when it has not arrived whole.
pub(super) fn next(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Unexpected> {
    let Some(&kind) = input.first() else { return Ok(None) };
    match kind {
        b'*' | b'>' => push(input),
        b':' => Ok(number(input, 1)?.map(|(value, end)| (Frame::Receivers(value), end))),
        b'-' => Ok(line(input)?.map(|line| (Frame::Error(&line[1..]), line.len() + 2))),
        b'+' => Ok(line(input)?.map(|line| (Frame::Other, line.len() + 2))),
        b'$' => Ok(element(input, 0)?.map(|(_, end)| (Frame::Other, end))),
        _ => Err(Unexpected),
    }
}

fn push(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Unexpected> {
    let Some((count, mut at)) = number(input, 1)? else { return Ok(None) };
    let count = usize::try_from(count).ok().filter(|count| *count <= ELEMENTS_MAX).ok_or(Unexpected)?;
    let mut elements: [&[u8]; ELEMENTS_MAX] = [b""; ELEMENTS_MAX];
    for slot in elements.iter_mut().take(count) {
        let Some((bytes, end)) = element(input, at)? else { return Ok(None) };
        (*slot, at) = (bytes, end);
    }
    let frame = match (elements[0], count) {
        (b"message" | b"smessage", 3) => Frame::Message { payload: elements[2] },
        (b"pmessage", 4) => Frame::Message { payload: elements[3] },
        (b"subscribe" | b"psubscribe" | b"ssubscribe", 3) => Frame::Subscribed,
        _ => return Err(Unexpected),
    };
    Ok(Some((frame, at)))
}

/// A string's bytes, or a number's digits, and where it ends.
fn element(input: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Unexpected> {
    let Some(&kind) = input.get(at) else { return Ok(None) };
    let Some((value, end)) = number(input, at + 1)? else { return Ok(None) };
    match kind {
        b':' => Ok(Some((&input[at + 1..end - 2], end))),
        b'$' if value < 0 => Ok(Some((b"", end))),
        b'$' => {
            let behind =
                usize::try_from(value).ok().and_then(|len| end.checked_add(len)).ok_or(Unexpected)?;
            if input.len() < behind.saturating_add(2) {
                return Ok(None);
            }
            Ok(Some((&input[end..behind], behind + 2)))
        }
        _ => Err(Unexpected),
    }
}

/// The number that begins at `at`, and where its line ends.
fn number(input: &[u8], at: usize) -> Result<Option<(i64, usize)>, Unexpected> {
    let mut value: i64 = 0;
    let mut is_negative = false;
    for (offset, &byte) in input.iter().enumerate().skip(at).take(DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' => value = value.wrapping_mul(10).wrapping_add(i64::from(byte - b'0')),
            b'-' if offset == at => is_negative = true,
            b'\r' if offset > at => {
                let is_whole = input.len() > offset + 1;
                return Ok(is_whole.then_some((if is_negative { -value } else { value }, offset + 2)));
            }
            _ => return Err(Unexpected),
        }
    }
    if input.len() > at + DIGITS_MAX { Err(Unexpected) } else { Ok(None) }
}

/// The line at the front of `input`, without its end.
pub(super) fn line(input: &[u8]) -> Result<Option<&[u8]>, Unexpected> {
    match memchr::memchr(b'\r', input) {
        Some(end) if input.len() > end + 1 => Ok(Some(&input[..end])),
        None if input.len() > LINE_BYTES_MAX => Err(Unexpected),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_publishers_and_subscribers_get_is_read() {
        let whole: [(&[u8], Frame<'_>); 8] = [
            (b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", Frame::Message { payload: b"hi" }),
            (b">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$0\r\n\r\n", Frame::Message { payload: b"" }),
            (b"*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$1\r\nx\r\n", Frame::Message { payload: b"x" }),
            (b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", Frame::Subscribed),
            (b":-12\r\n", Frame::Receivers(-12)),
            (b"-ERR no\r\n", Frame::Error(b"ERR no")),
            (b"+PONG\r\n", Frame::Other),
            (b"$-1\r\n", Frame::Other),
        ];
        for (bytes, frame) in whole {
            for cut in 0..bytes.len() {
                assert_eq!(next(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
            }
            let more = [bytes, b"+next"].concat();
            assert_eq!(next(&more), Ok(Some((frame, bytes.len()))));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            &b"HTTP"[..],
            b"*5\r\n",
            b"*2\r\n:1\r\n:2\r\n",
            b":1x\r\n",
            b":123456789012345678901",
            b"*-1\r\n",
        ] {
            assert_eq!(next(bytes), Err(Unexpected), "{}", bytes.escape_ascii());
        }
    }
}
