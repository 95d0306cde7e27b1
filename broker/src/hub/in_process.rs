//! Connections from inside this process: what waits for them is handed over in pieces, and messages that have numbers as they
//! are, instead of as bytes.

use std::collections::VecDeque;

use carillon_proto::pipe::Piece;

use super::{Client, Hub, Seat};

impl Hub {
    /// Seats a new connection from inside this process.
    pub fn connect_in_process(&mut self) -> Seat {
        self.clients.insert(Client { is_in_process: true, ..Client::default() })
    }

    /// Moves what waits for `seat`, which is in this process, into `pieces`, until they are `room` bytes or more. Returns
    /// how many they are.
    pub fn take_pieces(&mut self, seat: Seat, room: usize, pieces: &mut VecDeque<Piece>) -> usize {
        self.clients[seat].outbox.take(&mut self.pool, room, pieces)
    }
}
