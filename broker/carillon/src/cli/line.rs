//! A message as one line, for people or as JSON.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use carillon_client::{Message, Via};
use serde::Serialize;

/// `channel payload`. Control characters and bytes that are not UTF-8 are escaped: a message stays one line, and
/// what strangers publish does not command the terminal.
pub(super) fn text(message: &Message) -> String {
    let mut line = String::with_capacity(message.channel.len() + message.payload.len() + 2);
    escape(&message.channel, &mut line);
    line.push(' ');
    escape(&message.payload, &mut line);
    line.push('\n');
    line
}

fn escape(bytes: &[u8], line: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for symbol in chunk.valid().chars() {
            if symbol.is_control() && symbol != '\t' {
                line.extend(symbol.escape_default());
            } else {
                line.push(symbol);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
}

/// Each field in one of two forms: itself if it is UTF-8, else in base64.
#[derive(Default, Serialize)]
struct Json<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// An object with `channel`, `payload` and, when one matched, `pattern`; `…_base64` for what is not UTF-8.
pub(super) fn json(message: &Message) -> String {
    let (channel, channel_base64) = text_or_base64(&message.channel);
    let (payload, payload_base64) = text_or_base64(&message.payload);
    let (pattern, pattern_base64) = match &message.via {
        Via::Pattern(pattern) => text_or_base64(pattern),
        Via::Channel | Via::Shard => (None, None),
    };
    let json = Json { pattern, pattern_base64, channel, channel_base64, payload, payload_base64 };
    let mut line = serde_json::to_string(&json).expect("strings are always JSON");
    line.push('\n');
    line
}

fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &'static [u8], payload: &'static [u8], via: Via) -> Message {
        Message::new(channel, payload, via)
    }

    #[test]
    fn text_is_one_line_that_does_not_command_a_terminal() {
        let payload = "grüß\tdich\n\x1b[2J\u{9b}".as_bytes();
        assert_eq!(text(&message(b"a", payload, Via::Channel)), "a grüß\tdich\\n\\u{1b}[2J\\u{9b}\n");
        assert_eq!(text(&message(b"\xff", b"", Via::Channel)), "\\xff \n");
    }

    #[test]
    fn json_holds_every_byte() {
        assert_eq!(
            json(&message(b"a", b"\"x\n", Via::Shard)),
            "{\"channel\":\"a\",\"payload\":\"\\\"x\\n\"}\n"
        );
        assert_eq!(
            json(&message(b"\xff", b"\0\xff", Via::Pattern("*".into()))),
            "{\"pattern\":\"*\",\"channel_base64\":\"/w==\",\"payload_base64\":\"AP8=\"}\n"
        );
    }
}
