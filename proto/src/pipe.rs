//! A connection inside one process: what a client and its node hand each other instead of writing to a socket.
//!
//! Requests and replies are the bytes that a socket would carry. Messages are handed over as they are, with the payload
//! that all subscribers in the process share. Both directions are bounded, as a socket's buffers are, and a reader that
//! does not keep up is felt by the other side in the same way: it cannot write any more.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Buf as _, Bytes};

use crate::position::Stamp;

/// Bytes that wait in each direction before the other side has to wait: about what the kernel buffers for a socket.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// What a message takes beside its channel and payload, about, so that empty ones are bounded too.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// A message with its number, as `broker/src/server/POSITIONS.md` tells of it. A clone shares all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub stamp: Stamp,
    /// Whether its channel is a shard channel.
    pub is_shard: bool,
    /// The subscriptions by which it is received: patterns, and `None` for the channel itself.
    pub by: Arc<[Option<Bytes>]>,
    /// The channel.
    pub channel: Bytes,
    /// The payload.
    pub payload: Bytes,
}

impl Delivery {
    /// Bytes that it makes whoever keeps it hold, about.
    pub fn weight(&self) -> usize {
        self.channel.len() + self.payload.len() + MESSAGE_OVERHEAD_BYTES
    }
}

/// What a client is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// What a socket would carry. The end of a value comes before a message does.
    Bytes(Bytes),
    /// A message.
    Message(Delivery),
}

impl Piece {
    /// Bytes that it makes whoever keeps it hold, about.
    pub fn weight(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Message(message) => message.weight(),
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<T>,
    bytes: usize,
    /// Nothing more will come.
    is_finished: bool,
    /// Nobody will read any more.
    is_deserted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            is_finished: false,
            is_deserted: false,
            reader: None,
            writer: None,
        }
    }
}

impl<T> Lane<T> {
    /// What may be written now.
    fn room(&self) -> io::Result<usize> {
        if self.is_deserted || self.is_finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match WAITING_BYTES_MAX.saturating_sub(self.bytes) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            room => Ok(room),
        }
    }

    fn poll_writable(&mut self, context: &Context<'_>) -> Poll<()> {
        match self.room() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writer = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    fn poll_readable(&mut self, context: &Context<'_>) -> Poll<()> {
        if !self.waiting.is_empty() || self.is_finished {
            return Poll::Ready(());
        }
        self.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Both directions, and why the node has ended it.
#[derive(Debug, Default)]
struct Lanes {
    to_node: Mutex<Lane<Bytes>>,
    to_client: Mutex<Lane<Piece>>,
    end: Mutex<Option<&'static str>>,
}

/// Changes one direction, and wakes whoever waits for that: outside of the lock, as they may want it at once.
fn change<T, R>(
    lane: &Mutex<Lane<T>>,
    wake: impl FnOnce(&mut Lane<T>) -> Option<Waker>,
    change: impl FnOnce(&mut Lane<T>) -> R,
) -> R {
    let mut locked = locked(lane);
    let result = change(&mut locked);
    let waker = wake(&mut locked);
    drop(locked);
    if let Some(waker) = waker {
        waker.wake();
    }
    result
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client's end. Dropped, it is closed.
#[derive(Debug)]
pub struct ClientEnd(Arc<Lanes>);

/// The node's end. Dropped, it is closed.
#[derive(Debug)]
pub struct NodeEnd(Arc<Lanes>);

/// Both ends of a new connection.
pub fn pipe() -> (ClientEnd, NodeEnd) {
    let lanes = Arc::new(Lanes::default());
    (ClientEnd(Arc::clone(&lanes)), NodeEnd(lanes))
}

impl ClientEnd {
    /// Waits until bytes can be sent, and sends what `take` returns, whole. Broken when the node has ended the connection;
    /// nothing is taken then.
    pub fn poll_send(&self, context: &Context<'_>, take: impl FnOnce() -> Bytes) -> Poll<io::Result<usize>> {
        change(
            &self.0.to_node,
            |lane| lane.reader.take(),
            |lane| {
                if lane.poll_writable(context).is_pending() {
                    return Poll::Pending;
                }
                Poll::Ready(lane.room().map(|_| {
                    let bytes = take();
                    let len = bytes.len();
                    lane.bytes += len;
                    lane.waiting.push_back(bytes);
                    len
                }))
            },
        )
    }

    /// Waits until something has come, and puts it behind what is in `pieces`. Returns about how many bytes that was; 0
    /// once the connection has ended.
    pub fn poll_receive(&self, context: &Context<'_>, pieces: &mut VecDeque<Piece>) -> Poll<usize> {
        change(
            &self.0.to_client,
            |lane| lane.writer.take(),
            |lane| {
                if lane.poll_readable(context).is_pending() {
                    return Poll::Pending;
                }
                pieces.append(&mut lane.waiting);
                Poll::Ready(std::mem::take(&mut lane.bytes))
            },
        )
    }

    /// Why the node has ended the connection, in a word, if it has.
    pub fn end(&self) -> Option<&'static str> {
        *locked(&self.0.end)
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        change(&self.0.to_node, |lane| lane.reader.take(), |lane| lane.is_finished = true);
        let left = change(
            &self.0.to_client,
            |lane| lane.writer.take(),
            |lane| {
                lane.is_deserted = true;
                std::mem::take(&mut lane.waiting)
            },
        );
        drop(left);
    }
}

impl NodeEnd {
    /// Waits until [`try_read`](Self::try_read) has something to give, or the end.
    pub fn poll_readable(&self, context: &Context<'_>) -> Poll<()> {
        locked(&self.0.to_node).poll_readable(context)
    }

    /// Reads into the spare room of `buffer`. 0 when the client has closed.
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        change(
            &self.0.to_node,
            |lane| lane.writer.take(),
            |lane| {
                let before = buffer.len();
                while let Some(first) = lane.waiting.front_mut() {
                    let count = first.len().min(buffer.capacity() - buffer.len());
                    buffer.extend_from_slice(&first[..count]);
                    lane.bytes -= count;
                    if count < first.len() {
                        first.advance(count);
                        break;
                    }
                    lane.waiting.pop_front();
                }
                let count = buffer.len() - before;
                if count == 0 && !lane.is_finished {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(count)
            },
        )
    }

    /// Waits until [`try_send`](Self::try_send) does something.
    pub fn poll_writable(&self, context: &Context<'_>) -> Poll<()> {
        locked(&self.0.to_client).poll_writable(context)
    }

    /// Lets `fill` append pieces, as many as there is room for, and returns what it does: the sum of their weights. The
    /// client is woken once.
    pub fn try_send(&self, fill: impl FnOnce(usize, &mut VecDeque<Piece>) -> usize) -> io::Result<usize> {
        change(
            &self.0.to_client,
            |lane| lane.reader.take(),
            |lane| {
                let room = lane.room()?;
                let added = fill(room, &mut lane.waiting);
                lane.bytes += added;
                Ok(added)
            },
        )
    }

    /// Says why the connection is about to end. The first word counts.
    pub fn set_end(&self, reason: &'static str) {
        locked(&self.0.end).get_or_insert(reason);
    }

    /// Nothing more will be sent.
    pub fn finish(&self) {
        change(&self.0.to_client, |lane| lane.reader.take(), |lane| lane.is_finished = true);
    }
}

impl Drop for NodeEnd {
    fn drop(&mut self) {
        self.finish();
        let left = change(
            &self.0.to_node,
            |lane| lane.writer.take(),
            |lane| {
                lane.is_deserted = true;
                std::mem::take(&mut lane.waiting)
            },
        );
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Origin;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn send(client: &ClientEnd, bytes: &'static [u8]) -> Poll<io::Result<usize>> {
        client.poll_send(&context(), || Bytes::from_static(bytes))
    }

    fn message(len: usize) -> Piece {
        Piece::Message(Delivery {
            stamp: Stamp { origin: Origin { node: 1, incarnation: 2 }, number: 3 },
            is_shard: false,
            by: [None].into(),
            channel: "c".into(),
            payload: vec![0; len].into(),
        })
    }

    fn hand_over(node: &NodeEnd, piece: Piece) -> io::Result<usize> {
        node.try_send(|_, pieces| {
            let weight = piece.weight();
            pieces.push_back(piece);
            weight
        })
    }

    #[test]
    fn bytes_are_read_as_far_as_there_is_room_and_behind_them_the_end() {
        let (client, node) = pipe();
        assert!(matches!(send(&client, b"hello"), Poll::Ready(Ok(5))));
        assert!(matches!(send(&client, b" world"), Poll::Ready(Ok(6))));
        drop(client);
        let mut buffer = Vec::with_capacity(8);
        assert_eq!(node.try_read(&mut buffer).unwrap(), 8);
        assert_eq!(buffer, b"hello wo");
        buffer.clear();
        assert_eq!(node.try_read(&mut buffer).unwrap(), 3);
        assert!(node.poll_readable(&context()).is_ready());
        assert_eq!(node.try_read(&mut buffer).unwrap(), 0);
        assert_eq!(hand_over(&node, message(0)).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_client_that_does_not_read_is_written_so_much_and_no_more() {
        let (client, node) = pipe();
        let mut handed = 0;
        let error = loop {
            match hand_over(&node, message(1000)) {
                Ok(weight) => handed += weight,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!((WAITING_BYTES_MAX..WAITING_BYTES_MAX + 2000).contains(&handed), "{handed}");
        assert!(node.poll_writable(&context()).is_pending());
        let mut pieces = VecDeque::new();
        assert!(
            matches!(client.poll_receive(&context(), &mut pieces), Poll::Ready(count) if count == handed)
        );
        assert!(node.poll_writable(&context()).is_ready());
        assert!(client.poll_receive(&context(), &mut pieces).is_pending());
    }

    #[test]
    fn a_node_that_does_not_read_makes_the_client_wait() {
        let (client, node) = pipe();
        let large = Bytes::from(vec![0; WAITING_BYTES_MAX]);
        assert!(client.poll_send(&context(), || large).is_ready());
        assert!(send(&client, b"x").is_pending());
        assert_eq!(node.try_read(&mut Vec::with_capacity(10)).unwrap(), 10);
        assert!(matches!(send(&client, b"x"), Poll::Ready(Ok(1))));
    }

    #[test]
    fn the_end_comes_behind_what_was_sent_and_with_its_reason() {
        let (client, node) = pipe();
        hand_over(&node, message(1)).unwrap();
        node.set_end("fenced");
        node.set_end("peer_closed");
        drop(node);
        let mut pieces = VecDeque::new();
        assert!(matches!(client.poll_receive(&context(), &mut pieces), Poll::Ready(1..)));
        assert_eq!(pieces.len(), 1);
        assert!(matches!(client.poll_receive(&context(), &mut pieces), Poll::Ready(0)));
        assert_eq!(client.end(), Some("fenced"));
        let Poll::Ready(Err(error)) = send(&client, b"x") else { panic!("nobody reads it") };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
