//! Asking a node's admin port.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a node may take to answer. One that is stopped never does.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// Asks an HTTP server: the status code and what comes with it; `None` when it does not answer.
pub fn get(addr: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect_timeout(&addr, ANSWER_TIME_MAX).ok()?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX)).ok()?;
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {addr}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A number of a node's `/metrics`, by its name and labels as they stand there; `None` when it does not answer.
pub fn metric(addr: SocketAddr, name: &str) -> Option<f64> {
    let (_, text) = get(addr, "/metrics")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Some(line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}")))
}

/// How many connections a node has closed, or not taken, for a reason; `None` when it does not answer.
pub fn closed(addr: SocketAddr, reason: &str) -> Option<f64> {
    metric(addr, &format!("carillon_connections_closed_total{{reason=\"{reason}\"}}"))
}
