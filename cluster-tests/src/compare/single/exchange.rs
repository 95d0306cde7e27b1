//! Requests whose replies are known to the byte.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::command;

/// How long a reply may take.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);

pub(super) fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    let connected = TcpStream::connect(addr).and_then(|socket| {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(REPLY_TIME_MAX))?;
        socket.set_write_timeout(Some(REPLY_TIME_MAX))?;
        Ok(socket)
    });
    connected.map_err(|error| format!("{addr} cannot be reached: {error}"))
}

/// Requests that are sent at once, and all that answers them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    requests: Vec<u8>,
    replies: Vec<u8>,
    received: Vec<u8>,
}

impl Batch {
    /// Adds SUBSCRIBE or UNSUBSCRIBE of one channel, after which the connection has so many.
    pub(super) fn add(&mut self, verb: &str, channel: &str, count: usize) {
        self.requests.extend(command(&[verb.to_uppercase().as_str(), channel]));
        let reply =
            format!("*3\r\n${}\r\n{verb}\r\n${}\r\n{channel}\r\n:{count}\r\n", verb.len(), channel.len());
        self.replies.extend(reply.into_bytes());
    }

    /// Sends it, and receives the replies.
    pub(super) fn exchange(&mut self, socket: &mut TcpStream) -> Result<(), String> {
        self.received.resize(self.replies.len(), 0);
        let done = socket.write_all(&self.requests).and_then(|()| socket.read_exact(&mut self.received));
        done.map_err(|error| format!("the replies do not come: {error}"))?;
        if self.received == self.replies {
            return Ok(());
        }
        let start = &self.received[..self.received.len().min(80)];
        Err(format!("other replies than Redis's: {}", start.escape_ascii()))
    }
}
