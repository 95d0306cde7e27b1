//! What strangers may try at the client port. Meanwhile the node serves its well-behaved clients, and its memory stays
//! within a bound.

mod connections;
mod descriptors;
mod requests;
mod subscriptions;

use std::{
    io::{ErrorKind, Read as _},
    net::TcpStream,
    time::Duration,
};

use carillon_cluster_tests::{Bystander, Server, eventually};

/// How long a well-behaved client may wait meanwhile. A shard that works on something long keeps its others waiting
/// for as long; machines that run tests add to it.
const LATENCY_MAX: Duration = Duration::from_millis(750);

/// How long what has to happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

const MIB: u64 = 1024 * 1024;

/// A node, its well-behaved clients, and room for those who are not.
struct Siege {
    server: Server,
    bystander: Bystander,
}

impl Siege {
    fn begin(flags: &[&str]) -> Self {
        carillon_cluster_tests::raise_open_files_limit();
        let server = Server::carillon(flags);
        let bystander = Bystander::start(server.addr);
        Self { server, bystander }
    }

    /// Waits until at least `count` were.
    fn wait_for_closed(&self, reason: &str, count: f64) {
        let found = eventually(PATIENCE, || (self.server.closed(reason) >= count).then_some(()));
        assert!(found.is_some(), "{} closed for {reason}, not {count}", self.server.closed(reason));
    }

    /// Waits until nobody is connected but the bystanders.
    fn wait_until_alone(&self) {
        self.wait_until_alone_but(0);
    }

    /// Waits until nobody is connected but the bystanders and so many others.
    fn wait_until_alone_but(&self, others: u32) {
        let (clients, expected) = (|| self.server.metric("carillon_clients"), f64::from(2 + others));
        let found = eventually(PATIENCE, || ((clients() - expected).abs() < 0.5).then_some(()));
        assert!(found.is_some(), "{} are left", clients());
    }

    /// The node has stood it: nothing was lost, nobody waited long, and it never held more than so much memory.
    fn end(self, resident_mib_max: u64) {
        let seen = self.bystander.end();
        let peak = self.server.resident_bytes_peak() / MIB;
        eprintln!("{seen:?}, at most {peak} MiB resident");
        assert!(seen.longest < LATENCY_MAX, "{seen:?}");
        assert!(peak < resident_mib_max, "{peak} MiB resident, {resident_mib_max} are allowed");
    }
}

/// Waits for the end of a connection and returns what came before it.
fn last_words(mut socket: &TcpStream) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the node does not close: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
