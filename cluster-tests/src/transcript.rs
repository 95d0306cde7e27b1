//! Conversations as people read them, and their replay.
//!
//! `> subscribe news` is sent as a request, `>| PING\r\n` as it stands; `< :1\r\n` is what must arrive, byte for
//! byte. Several connections have names: `publisher> publish news x`. `< (closed)` is the server's end of a
//! connection. What differs from one server to the next stands in braces: `{n}` and `{line}` are anything up to
//! what follows, any other name is the same wherever it stands for one connection.

use std::{collections::HashMap, net::SocketAddr};

use crate::{Wire, command};

/// What is told of something unexpected: the place and both sides.
type Complaint = String;

const CLOSED: &str = "(closed)";

/// Plays `text` to the server at `addr`. What it says against it names the line.
pub fn play(text: &str, addr: SocketAddr) -> Result<(), Complaint> {
    let mut wires: HashMap<&str, (Wire, HashMap<String, Vec<u8>>)> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let complain = |what: String| format!("line {}: {line}\n{what}", index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = line.find(['<', '>']).ok_or_else(|| complain("neither < nor >".into()))?;
        let (name, said) = (&line[..at], &line[at + 1..]);
        let (wire, known) = wires.entry(name).or_insert_with(|| (Wire::connect(addr), HashMap::new()));
        if line[at..].starts_with('<') {
            let expected = said.trim_start();
            if expected == CLOSED {
                let (wire, _) = wires.remove(name).expect("it was put there above");
                nothing_more(wire).map_err(complain)?;
            } else {
                expect(wire, expected, known).map_err(complain)?;
            }
        } else if let Some(raw) = said.strip_prefix('|') {
            wire.send(&unescape(raw.trim_start()));
        } else {
            let words = words(&fill_in(said, known));
            wire.send(&command(&words));
        }
    }
    for (name, (wire, _)) in wires {
        let _ = wire.socket.shutdown(std::net::Shutdown::Write);
        nothing_more(wire).map_err(|what| format!("at the end, connection '{name}': {what}"))?;
    }
    Ok(())
}

fn nothing_more(mut wire: Wire) -> Result<(), Complaint> {
    let more = wire.bytes_until_end();
    if more.is_empty() { Ok(()) } else { Err(format!("got besides: {}", more.escape_ascii())) }
}

/// Reads what `expected` says, piece by piece, and notes what stands where it has names.
fn expect(wire: &mut Wire, expected: &str, known: &mut HashMap<String, Vec<u8>>) -> Result<(), Complaint> {
    let mut got = Vec::new();
    let (first, named) = pieces(expected);
    let mut rest = named.into_iter();
    let is_enough = |bytes: &[u8]| bytes.len() >= first.len() || !first.starts_with(bytes);
    let (Ok(bytes) | Err(bytes)) = wire.read_until(|bytes| is_enough(bytes).then_some(first.len()));
    got.extend(bytes);
    let mut is_right = got == first;
    while let Some((name, literal)) = rest.next().filter(|_| is_right) {
        let end = |bytes: &[u8]| {
            let start = bytes.windows(literal.len().max(1)).position(|window| window == literal)?;
            Some(start + literal.len())
        };
        match wire.read_until(end) {
            Ok(bytes) => {
                got.extend_from_slice(&bytes);
                let value = bytes[..bytes.len() - literal.len()].to_vec();
                is_right = !matches!(name.as_str(), "n" | "id") || value.iter().all(u8::is_ascii_digit);
                if !matches!(name.as_str(), "n" | "line") {
                    is_right &= *known.entry(name).or_insert_with(|| value.clone()) == value;
                }
            }
            Err(bytes) => {
                got.extend(bytes);
                is_right = false;
            }
        }
    }
    if is_right { Ok(()) } else { Err(format!("got {}", got.escape_ascii())) }
}

/// What comes before the first placeholder, and each placeholder with what comes behind it.
fn pieces(expected: &str) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut parts = expected.split('{');
    let first = unescape(parts.next().unwrap_or_default());
    let named = parts.map(|part| {
        let (name, literal) = part.split_once('}').expect("a brace is closed");
        (name.to_owned(), unescape(literal))
    });
    (first, named.collect())
}

fn fill_in(said: &str, known: &HashMap<String, Vec<u8>>) -> String {
    known.iter().fold(said.to_owned(), |said, (name, value)| {
        said.replace(&format!("{{{name}}}"), &String::from_utf8_lossy(value))
    })
}

/// Words between spaces; double quotes keep spaces in one.
fn words(said: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    for (index, part) in said.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(unescape(part));
        } else {
            words.extend(part.split_whitespace().map(unescape));
        }
    }
    words
}

/// The inverse of `escape_ascii`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        (bytes, rest) = match (byte, tail) {
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two hexadecimal digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                (bytes, tail)
            }
            (b'\\', [escaped, tail @ ..]) => {
                bytes.push(match escaped {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    other => *other,
                });
                (bytes, tail)
            }
            _ => {
                bytes.push(*byte);
                (bytes, tail)
            }
        };
    }
    bytes
}
