//! Ports that stay a node's own for a whole test: it is killed and started again on the same ones.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Below Linux's range for outgoing connections: a client's connection must not take the port of a node that is
/// down for a moment.
const FIRST_PORT: u16 = 12_000;

/// Ports of one block.
const BLOCK_PORTS: u16 = 32;

/// Number of blocks.
const BLOCKS: u16 = 600;

/// A block of ports that no other test holds, in whichever process.
#[derive(Debug)]
pub struct Ports {
    next: u16,
    end: u16,
    /// Bound to the block's first port for as long as the block is held: a lock that holds between users, and that
    /// no crash leaves behind.
    _lock: TcpListener,
}

impl Ports {
    /// Takes a block.
    pub fn take() -> Self {
        let start = std::process::id() as u16;
        for offset in 0..BLOCKS {
            let block = start.wrapping_mul(7).wrapping_add(offset) % BLOCKS;
            let first = FIRST_PORT + block * BLOCK_PORTS;
            if let Ok(lock) = TcpListener::bind((Ipv4Addr::LOCALHOST, first)) {
                return Self { next: first + 1, end: first + BLOCK_PORTS, _lock: lock };
            }
        }
        panic!("all {BLOCKS} blocks of ports are taken");
    }

    /// The next loopback address whose port is free for TCP and UDP.
    pub fn next_addr(&mut self) -> SocketAddr {
        while self.next < self.end {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next));
            self.next += 1;
            if TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok() {
                return addr;
            }
        }
        panic!("no free port is left in this block");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tests_never_get_the_same_port() {
        let (mut one, mut other) = (Ports::take(), Ports::take());
        let mut ports: Vec<u16> =
            (0..5).flat_map(|_| [one.next_addr().port(), other.next_addr().port()]).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 10);
    }
}
