//! The greeting: which protocol is spoken, and as whom.

use std::{collections::VecDeque, io};

use bytes::{Buf as _, BytesMut};
use carillon_proto::resp::{Protocol, Value, ValueDecoder};

use crate::{Address, ConnectError, Socket, connection::encode};

/// Longest answer to the greeting, in bytes; a server's is a few hundred.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Greets the server and returns the protocol that it agreed to.
pub(crate) async fn greet(
    socket: &mut Socket,
    input: &mut BytesMut,
    address: &Address,
) -> Result<Protocol, ConnectError> {
    let mut greeting = Greeting { socket, input, address };
    if greeting.hello().await? {
        return Ok(Protocol::Resp3);
    }
    greeting.authenticate_in_resp2().await?;
    Ok(Protocol::Resp2)
}

struct Greeting<'a> {
    socket: &'a mut Socket,
    input: &'a mut BytesMut,
    address: &'a Address,
}

impl Greeting<'_> {
    /// `HELLO 3`, with the credentials in it. False when the server does not have it.
    async fn hello(&mut self) -> Result<bool, ConnectError> {
        let mut words = vec!["hello", "3"];
        if let Some(credentials) = &self.address.credentials {
            words.extend(["auth", username(self.address), &credentials.password]);
        }
        match self.ask(&words).await? {
            Value::Error(reply) if is_hello_missing(&reply) => Ok(false),
            Value::Error(reply) => Err(self.refusal(reply)),
            // Any other form than RESP3's own is RESP2.
            value => Ok(matches!(value, Value::Map(_))),
        }
    }

    /// AUTH, or a PING that finds out whether the server wants a password.
    async fn authenticate_in_resp2(&mut self) -> Result<(), ConnectError> {
        let words = match &self.address.credentials {
            None => vec!["ping"],
            Some(credentials) => match &credentials.username {
                Some(username) => vec!["auth", username, &credentials.password],
                // The form that servers before Redis 6 know.
                None => vec!["auth", &credentials.password],
            },
        };
        match self.ask(&words).await? {
            // A user may be forbidden to PING and allowed to do what is wanted.
            Value::Error(reply) if reply.starts_with("NOPERM") => Ok(()),
            Value::Error(reply) => Err(self.refusal(reply)),
            _ => Ok(()),
        }
    }

    async fn say(&mut self, words: &[&str]) -> io::Result<()> {
        let mut output = BytesMut::from(&encode(words)[..]);
        while !output.is_empty() {
            self.socket.writer.write(&mut output).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, words: &[&str]) -> Result<Value, ConnectError> {
        let endpoint = || self.address.endpoint.clone();
        // A server that is full or protected says so and closes: its words matter more than the failed write.
        let written = self.say(words).await;
        let mut pieces = VecDeque::new();
        loop {
            match ValueDecoder::new(ANSWER_BYTES_MAX).decode(self.input) {
                Ok(Some((value, used))) => {
                    self.input.advance(used);
                    return Ok(value);
                }
                Ok(None) if self.input.len() <= ANSWER_BYTES_MAX => {}
                Ok(None) => {
                    let error = io::Error::other("it sends without end");
                    return Err(ConnectError::Ended { endpoint: endpoint(), error });
                }
                Err(error) => return Err(ConnectError::NotRedis { endpoint: endpoint(), error }),
            }
            let ended = match self.socket.reader.read(self.input, &mut pieces).await {
                Ok(0) => written.as_ref().err().map_or(io::ErrorKind::UnexpectedEof, io::Error::kind).into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Err(ConnectError::Ended { endpoint: endpoint(), error: ended });
        }
    }

    fn refusal(&self, reply: String) -> ConnectError {
        let endpoint = self.address.endpoint.clone();
        // Before Redis 6 a wrong password is "ERR invalid password".
        if reply.starts_with("WRONGPASS") || reply == "ERR invalid password" {
            return ConnectError::WrongPassword {
                endpoint,
                username: username(self.address).to_owned(),
                reply,
            };
        }
        if reply.starts_with("NOAUTH") {
            return ConnectError::PasswordNeeded { endpoint, reply };
        }
        ConnectError::Refused { endpoint, reply }
    }
}

fn username(address: &Address) -> &str {
    let credentials = address.credentials.as_ref();
    credentials.and_then(|credentials| credentials.username.as_deref()).unwrap_or("default")
}

/// A server before Redis 6, one that knows no RESP3, or a user that may not say HELLO.
fn is_hello_missing(reply: &str) -> bool {
    reply.starts_with("NOPROTO")
        || reply.starts_with("NOPERM")
        || reply.to_ascii_lowercase().starts_with("err unknown command")
}

#[cfg(test)]
mod tests {
    use super::is_hello_missing;

    #[test]
    fn servers_without_hello_are_recognised_by_their_answers() {
        for reply in [
            "ERR unknown command `HELLO`, with args beginning with: `3`, ",
            "ERR unknown command 'hello'",
            "NOPROTO unsupported protocol version",
            "NOPERM this user has no permissions to run the 'hello' command",
        ] {
            assert!(is_hello_missing(reply), "{reply}");
        }
        for reply in ["NOAUTH HELLO must be called …", "WRONGPASS …", "LOADING …", "ERR max clients"] {
            assert!(!is_hello_missing(reply), "{reply}");
        }
    }
}
