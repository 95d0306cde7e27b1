//! A server that loses one message, sends one twice and turns two around.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use carillon_proto::resp::{Value, ValueDecoder};

/// Numbers of messages to which something happens.
const LOST: u64 = 50;
const DOUBLED: u64 = 60;
const TURNED_AROUND: u64 = 70;

/// It listens as long as the test runs.
pub(crate) struct Faulty {
    pub(crate) addr: SocketAddr,
}

#[derive(Default)]
struct State {
    subscribers: Vec<TcpStream>,
    published: u64,
    held: Option<Vec<u8>>,
}

impl Faulty {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("is bound");
        let state = Arc::new(Mutex::new(State::default()));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve(socket, &state));
            }
        });
        Self { addr }
    }
}

fn serve(mut socket: TcpStream, state: &Mutex<State>) {
    let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = socket.read(&mut chunk) {
        input.extend_from_slice(&chunk[..count]);
        while let Some((request, used)) = ValueDecoder::new(1 << 20).decode(&input).expect("is RESP") {
            input.drain(..used);
            let Value::Array(words) = request else { panic!("{request:?}") };
            let words: Vec<&[u8]> = words
                .iter()
                .map(|word| match word {
                    Value::Bulk(bytes) => bytes.as_slice(),
                    other => panic!("{other:?}"),
                })
                .collect();
            if socket.write_all(&answer(&words, &socket, state)).is_err() {
                return;
            }
        }
    }
}

fn answer(words: &[&[u8]], socket: &TcpStream, state: &Mutex<State>) -> Vec<u8> {
    let mut state = state.lock().expect("no thread has failed");
    match words {
        [b"PING" | b"ping"] => b"+PONG\r\n".to_vec(),
        [b"SUBSCRIBE", channel] => {
            state.subscribers.push(socket.try_clone().expect("a socket"));
            [b"*3\r\n$9\r\nsubscribe\r\n".to_vec(), bulk(channel), b":1\r\n".to_vec()].concat()
        }
        [b"PUBLISH", channel, payload] => {
            let message = [b"*3\r\n$7\r\nmessage\r\n".to_vec(), bulk(channel), bulk(payload)].concat();
            state.publish(message);
            b":2\r\n".to_vec()
        }
        _ => b"-ERR unknown command 'HELLO'\r\n".to_vec(),
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

impl State {
    fn publish(&mut self, message: Vec<u8>) {
        self.published += 1;
        match self.published {
            LOST => {}
            DOUBLED => self.deliver(&message.repeat(2)),
            TURNED_AROUND => self.held = Some(message),
            _ => {
                let held = self.held.take().unwrap_or_default();
                self.deliver(&[message, held].concat());
            }
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        self.subscribers.retain_mut(|subscriber| subscriber.write_all(bytes).is_ok());
    }
}
