//! Subscribers that wait: the resident memory that they take.

use std::{net::TcpStream, thread, time::Duration};

use super::{
    exchange::{Batch, connect},
    procs,
    rounds::Sample,
};
use crate::Server;

const CONNECTIONS: usize = 1000;

/// Subscriptions of each connection in the end.
const SUBSCRIPTIONS: usize = 100;

/// Measures a server that was just started: what it grows by when connections subscribe to a channel each, and when each
/// of these then subscribes to 99 more of its own. `settle` is the time in which buffers may shrink again.
pub(super) fn measure(server: &Server, settle: Duration) -> Result<Sample, String> {
    // What the first connection takes for good is not each connection's.
    subscribe(&mut connect(server.addr)?, 0, 0..1)?;
    thread::sleep(settle);
    let before = procs::resident(server.pid())?;
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for index in 0..CONNECTIONS {
        let mut socket = connect(server.addr)?;
        subscribe(&mut socket, index, 0..1)?;
        connections.push(socket);
    }
    thread::sleep(settle);
    let connected = procs::resident(server.pid())?;
    for (index, socket) in connections.iter_mut().enumerate() {
        subscribe(socket, index, 1..SUBSCRIPTIONS)?;
    }
    thread::sleep(settle);
    let subscribed = procs::resident(server.pid())?;
    let more = CONNECTIONS * (SUBSCRIPTIONS - 1);
    Ok(Sample {
        values: vec![(connected - before) / CONNECTIONS as f64, (subscribed - connected) / more as f64],
        other_cores: None,
        software: None,
    })
}

fn subscribe(socket: &mut TcpStream, index: usize, channels: std::ops::Range<usize>) -> Result<(), String> {
    let mut batch = Batch::default();
    for channel in channels {
        batch.add("subscribe", &format!("idle:{index:06}:{channel:04}"), channel + 1);
    }
    batch.exchange(socket)
}
