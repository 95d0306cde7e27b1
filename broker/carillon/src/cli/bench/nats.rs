//! The NATS client protocol (<https://docs.nats.io/reference/reference-protocols/nats-protocol>), as far as a load needs
//! it: a server that is compared with need not speak Redis's.
//!
//! Connections are verbose, so that each PUB is answered as each PUBLISH is. The answer says that the server has taken the
//! message; it does not count receivers.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::frame::{Frame, Unexpected, line};

/// Opens a connection; answered by [`OK`].
pub(super) const GREETING: &[u8] =
    b"CONNECT {\"verbose\":true,\"pedantic\":false,\"name\":\"carillon bench\"}\r\n";

const OK: &[u8] = b"+OK\r\n";

/// How long a server may take to say what it is.
const INFO_TIME_MAX: Duration = Duration::from_secs(5);

/// A subscription with a number of the client's own.
pub(super) fn subscribe(subject: &str, number: u32, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("SUB {subject} {number}\r\n").as_bytes());
}

/// A publish up to its payload.
pub(super) fn publish(subject: &str, len: usize) -> Vec<u8> {
    format!("PUB {subject} {len}\r\n").into_bytes()
}

/// The end of the answer to [`GREETING`], behind what the server says of itself; `None` while it has not arrived.
pub(super) fn greeted(input: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    while let Some(line) = line(&input[at..]).map_err(|error| error.to_string())? {
        at += line.len() + 2;
        match line {
            b"+OK" => return Ok(Some(at)),
            line if line.starts_with(b"INFO ") => {}
            line => return Err(String::from_utf8_lossy(line).into_owned()),
        }
    }
    Ok(None)
}

/// The frame at the front of `input` and its length in bytes; `None` when it has not arrived whole.
pub(super) fn next(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Unexpected> {
    if input.starts_with(OK) {
        return Ok(Some((Frame::Accepted, OK.len())));
    }
    let Some(line) = line(input)? else { return Ok(None) };
    let end = line.len() + 2;
    if line.starts_with(b"MSG ") {
        let digits = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let len = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
        let behind = len.and_then(|len| end.checked_add(len)).ok_or(Unexpected)?;
        let is_whole = input.len() >= behind.saturating_add(2);
        return Ok(is_whole.then(|| (Frame::Message { payload: &input[end..behind] }, behind + 2)));
    }
    match line {
        // What it asks once in minutes need not be answered in a run; what it says of its cluster does not matter.
        b"PING" | b"PONG" => Ok(Some((Frame::Nothing, end))),
        line if line.starts_with(b"INFO ") => Ok(Some((Frame::Nothing, end))),
        [b'-', text @ ..] => Ok(Some((Frame::Error(text), end))),
        _ => Err(Unexpected),
    }
}

/// Asks a server for its version.
pub(super) fn version(addr: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&addr, INFO_TIME_MAX)?;
    socket.set_read_timeout(Some(INFO_TIME_MAX))?;
    socket.write_all(GREETING)?;
    let mut input = Vec::new();
    while !input.contains(&b'\n') {
        let mut chunk = [0; 4096];
        let count = socket.read(&mut chunk)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(&chunk[..count]);
    }
    let not_nats = || std::io::Error::other("it does not speak NATS's protocol");
    let json =
        line(&input).ok().flatten().and_then(|line| line.strip_prefix(b"INFO ")).ok_or_else(not_nats)?;
    let info: serde_json::Value = serde_json::from_slice(json).map_err(std::io::Error::from)?;
    Ok(info["version"].as_str().unwrap_or("of an unknown version").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_sends_is_read() {
        let whole: [(&[u8], Frame<'_>); 5] = [
            (b"MSG bench:1:0:all 1 2\r\nhi\r\n", Frame::Message { payload: b"hi" }),
            (b"MSG s 1 reply 0\r\n\r\n", Frame::Message { payload: b"" }),
            (b"+OK\r\n", Frame::Accepted),
            (b"PING\r\n", Frame::Nothing),
            (b"-ERR 'no'\r\n", Frame::Error(b"ERR 'no'")),
        ];
        for (bytes, frame) in whole {
            for cut in 0..bytes.len() {
                assert_eq!(next(&bytes[..cut]), Ok(None), "{cut} of {}", bytes.escape_ascii());
            }
            assert_eq!(next(&[bytes, b"+OK\r\n"].concat()), Ok(Some((frame, bytes.len()))));
        }
        assert_eq!(next(b"*1\r\n"), Err(Unexpected));
        assert_eq!(greeted(b"INFO {}\r\n+OK\r\n+OK\r\n"), Ok(Some(14)));
        assert_eq!(greeted(b"INFO {}\r\n+O"), Ok(None));
        assert_eq!(greeted(b"INFO {}\r\n-ERR 'who'\r\n"), Err("-ERR 'who'".to_owned()));
    }
}
