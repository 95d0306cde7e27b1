//! The least that a server of this kind can do: one thread that parses, looks up, and writes the same frames to the same
//! sockets, once per subscriber and turn of the event loop.
//!
//! It speaks as much of RESP2 as `carillon bench` needs, has no limits and no errors, and is nothing but the measure of what
//! is above it.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read as _, Write as _},
    mem,
    net::{SocketAddr, TcpListener, TcpStream},
};

use carillon_proto::resp::{Encoder, Protocol, Request, RequestDecoder};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
};

/// The listener among the events; connections have their index.
const LISTENER: u64 = u64::MAX;

const EVENTS_MAX: usize = 1024;

/// Bytes of one read, as Carillon takes them.
const READ_BYTES: usize = 64 * 1024;

const ARGUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    decoder: RequestDecoder,
    /// The beginning of a request whose end has not come.
    input: Vec<u8>,
    output: Vec<u8>,
    is_dirty: bool,
    is_blocked: bool,
    subscriptions: usize,
}

#[derive(Debug)]
struct Floor {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Option<Connection>>,
    channels: HashMap<Vec<u8>, Vec<usize>>,
    /// By what comes before the star at their end.
    patterns: Vec<(Vec<u8>, Vec<usize>)>,
    /// Connections whose output has grown in this turn.
    dirty: Vec<usize>,
}

/// Serves until the process is killed.
pub fn serve(addr: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let (connections, channels) = (Vec::new(), HashMap::new());
    let mut floor = Floor { epoll, connections, channels, patterns: Vec::new(), dirty: Vec::new() };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let mut scratch = vec![0; READ_BYTES];
    loop {
        events.clear();
        match epoll::wait(&floor.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let (data, flags) = (event.data, event.flags);
            match data.u64() {
                LISTENER => floor.accept(&listener)?,
                index if flags.contains(EventFlags::OUT) => floor.write(index as usize),
                index => floor.read(index as usize, &mut scratch),
            }
        }
        let mut dirty = mem::take(&mut floor.dirty);
        // In Carillon's order.
        if dirty.len() > 2 {
            dirty.reverse();
        }
        dirty.drain(..).for_each(|index| floor.write(index));
        floor.dirty = dirty;
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Ok((socket, _)) = listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let index = self.connections.len() as u64;
            epoll::add(&self.epoll, &socket, EventData::new_u64(index), EventFlags::IN)?;
            self.connections.push(Some(Connection {
                socket,
                decoder: RequestDecoder::new(ARGUMENT_BYTES_MAX),
                input: Vec::new(),
                output: Vec::new(),
                is_dirty: false,
                is_blocked: false,
                subscriptions: 0,
            }));
        }
        Ok(())
    }

    fn read(&mut self, index: usize, scratch: &mut [u8]) {
        let Some(connection) = &mut self.connections[index] else { return };
        let read = match connection.socket.read(scratch) {
            Ok(0) => return self.forget(index),
            Ok(len) => &scratch[..len],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.forget(index),
        };
        // Requests reach other connections and this one, so what they are read from is out of its place meanwhile.
        let mut decoder = mem::replace(&mut connection.decoder, RequestDecoder::new(0));
        let mut begun = mem::take(&mut connection.input);
        if !begun.is_empty() {
            begun.extend_from_slice(read);
        }
        let input = if begun.is_empty() { read } else { &begun };
        let mut at = 0;
        while let Ok(Some((request, len))) = decoder.decode(&input[at..]) {
            self.answer(index, &request);
            at += len;
        }
        if let Some(connection) = &mut self.connections[index] {
            connection.decoder = decoder;
            connection.input = input[at..].to_vec();
        }
    }

    fn answer(&mut self, index: usize, request: &Request<'_>) {
        match (request.arg(0), request.get(1), request.get(2)) {
            (b"PUBLISH" | b"SPUBLISH", Some(channel), Some(payload)) => {
                let receivers = self.deliver(channel, payload);
                self.reply(index, |reply| reply.integer(receivers));
            }
            (b"SUBSCRIBE" | b"SSUBSCRIBE", Some(channel), None) => {
                self.channels.entry(channel.to_vec()).or_default().push(index);
                self.confirm(index, "subscribe", channel);
            }
            (b"PSUBSCRIBE", Some(pattern), None) => {
                let beginning = pattern.strip_suffix(b"*").unwrap_or(pattern);
                match self.patterns.iter_mut().find(|(known, _)| known == beginning) {
                    Some((_, subscribers)) => subscribers.push(index),
                    None => self.patterns.push((beginning.to_vec(), vec![index])),
                }
                self.confirm(index, "psubscribe", pattern);
            }
            // The client that `carillon bench` asks servers with says it in lower case.
            (b"PING" | b"ping", ..) => self.reply(index, |reply| reply.simple("PONG")),
            _ => self.reply(index, |reply| reply.error("ERR unknown command")),
        }
    }

    /// Appends the message to the output of all who want it, and returns how many that are.
    fn deliver(&mut self, channel: &[u8], payload: &[u8]) -> usize {
        let mut receivers = 0;
        let mut frame = Vec::with_capacity(payload.len() + 2 * channel.len() + 64);
        if let Some(subscribers) = self.channels.get(channel) {
            encode(&mut frame, &[b"message", channel, payload]);
            receivers += subscribers.len();
            for subscriber in subscribers {
                append(&mut self.connections, &mut self.dirty, *subscriber, &frame);
            }
        }
        for (beginning, subscribers) in &self.patterns {
            if !channel.starts_with(beginning) {
                continue;
            }
            frame.clear();
            encode(&mut frame, &[b"pmessage", &[beginning, &b"*"[..]].concat(), channel, payload]);
            receivers += subscribers.len();
            for subscriber in subscribers {
                append(&mut self.connections, &mut self.dirty, *subscriber, &frame);
            }
        }
        receivers
    }

    fn confirm(&mut self, index: usize, verb: &str, name: &[u8]) {
        let Some(connection) = &mut self.connections[index] else { return };
        connection.subscriptions += 1;
        let count = connection.subscriptions;
        self.reply(index, |reply| {
            reply.array(3);
            reply.bulk(verb);
            reply.bulk(name);
            reply.integer(count);
        });
    }

    fn reply(&mut self, index: usize, encode: impl FnOnce(&mut Encoder<'_>)) {
        let mut bytes = Vec::new();
        encode(&mut Encoder::new(&mut bytes, Protocol::Resp2));
        append(&mut self.connections, &mut self.dirty, index, &bytes);
    }

    /// Everything that waits for a connection, in one call.
    fn write(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        connection.is_dirty = false;
        match connection.socket.write(&connection.output) {
            Ok(written) => {
                connection.output.drain(..written);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return self.forget(index),
        }
        let is_blocked = !connection.output.is_empty();
        if is_blocked == mem::replace(&mut connection.is_blocked, is_blocked) {
            return;
        }
        let wanted = if is_blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        let changed =
            epoll::modify(&self.epoll, &connection.socket, EventData::new_u64(index as u64), wanted);
        if changed.is_err() {
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        self.connections[index] = None;
        let subscribers = self.channels.values_mut().chain(self.patterns.iter_mut().map(|(_, all)| all));
        subscribers.for_each(|subscribers| subscribers.retain(|subscriber| *subscriber != index));
    }
}

fn append(connections: &mut [Option<Connection>], dirty: &mut Vec<usize>, index: usize, bytes: &[u8]) {
    let Some(connection) = &mut connections[index] else { return };
    connection.output.extend_from_slice(bytes);
    // Who is blocked is written to when its socket takes bytes again.
    if !connection.is_dirty && !connection.is_blocked {
        connection.is_dirty = true;
        dirty.push(index);
    }
}

fn encode(frame: &mut Vec<u8>, words: &[&[u8]]) {
    let mut encoder = Encoder::new(frame, Protocol::Resp2);
    encoder.array(words.len());
    words.iter().for_each(|word| encoder.bulk(word));
}
