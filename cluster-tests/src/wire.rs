//! A connection that speaks bytes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use carillon_proto::resp::{Value, ValueDecoder};

/// How long a reply may take.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);

/// A raw connection, with what has been received and not been read yet.
#[derive(Debug)]
pub struct Wire {
    /// The socket itself.
    pub socket: TcpStream,
    received: Vec<u8>,
}

/// A request as an array of bulk strings.
pub fn command<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
        bytes.extend_from_slice(arg.as_ref());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

impl Wire {
    /// Connects.
    pub fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect(addr).expect("the server accepts");
        socket.set_read_timeout(Some(REPLY_TIME_MAX)).expect("a socket takes a timeout");
        socket.set_nodelay(true).expect("a socket takes TCP_NODELAY");
        Self { socket, received: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server reads");
    }

    /// Sends a request and returns the next value, be it its reply or a push.
    pub fn ask(&mut self, args: &[&str]) -> Value {
        self.send(&command(args));
        self.receive()
    }

    /// The next value that arrives.
    pub fn receive(&mut self) -> Value {
        loop {
            let decoded = ValueDecoder::new(1 << 28).decode(&self.received).expect("the server speaks RESP");
            if let Some((value, used)) = decoded {
                self.received.drain(..used);
                return value;
            }
            let mut chunk = vec![0; 65536];
            let count = self.socket.read(&mut chunk).expect("a value arrives in time");
            assert!(count > 0, "closed in the middle of {}", self.received.escape_ascii());
            self.received.extend_from_slice(&chunk[..count]);
        }
    }

    /// Reads until `end` tells how many of the bytes so far are the ones wanted, and takes them. When the
    /// connection ends or falls silent before, all that has come is the error.
    pub fn read_until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Result<Vec<u8>, Vec<u8>> {
        loop {
            if let Some(len) = end(&self.received) {
                let len = len.min(self.received.len());
                return Ok(self.received.drain(..len).collect());
            }
            let mut chunk = vec![0; 65536];
            match self.socket.read(&mut chunk) {
                Ok(count @ 1..) => self.received.extend_from_slice(&chunk[..count]),
                Ok(0) | Err(_) => return Err(std::mem::take(&mut self.received)),
            }
        }
    }

    /// Makes this end a dead peer, whose packets go nowhere: a filter on the socket drops all that arrives, so that
    /// nothing is acknowledged and nothing is reset. False, with a word about it, where the kernel lets only root
    /// filter sockets; most let everyone.
    #[must_use]
    pub fn die(&self) -> bool {
        // "ret #0": accept zero bytes of every packet.
        let drop_everything = [socket2::SockFilter::new(0x06, 0, 0, 0)];
        match socket2::SockRef::from(&self.socket).attach_filter(&drop_everything) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                eprintln!("NOT CHECKED: this kernel lets only root filter sockets, which a dead peer takes");
                false
            }
            Err(error) => panic!("cannot filter a socket: {error}"),
        }
    }

    /// All bytes up to the end of the connection.
    pub fn bytes_until_end(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.received);
        // A reset counts as an end.
        let _ = self.socket.read_to_end(&mut bytes);
        bytes
    }
}
