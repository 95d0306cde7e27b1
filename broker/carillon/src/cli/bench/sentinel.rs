//! Redis Sentinel: who is the primary now?

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{PoisonError, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use carillon_proto::resp::{Value, ValueDecoder};

use super::{control::Control, link::Place, plan::request};

/// How long one Sentinel may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(100);

/// Between two questions while clients wait for a primary.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// The Sentinels of one primary.
#[derive(Clone, Debug)]
pub(super) struct Sentinels {
    pub(super) addresses: Vec<SocketAddr>,
    /// The name under which they watch the primary.
    pub(super) name: String,
}

impl Sentinels {
    /// What most of those that answer call the primary.
    pub(super) fn primary(&self) -> Option<SocketAddr> {
        let mut votes: HashMap<SocketAddr, usize> = HashMap::new();
        for primary in self.addresses.iter().filter_map(|address| self.ask(*address).ok()) {
            *votes.entry(primary).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(primary, _)| primary)
    }

    /// Until the run ends: while clients have no connection, keeps asking where to connect to.
    pub(super) fn watch(&self, control: &Control) {
        while !control.stop.load(Relaxed) {
            if control.down() > 0
                && let Some(primary) = self.primary()
            {
                let place = Place { addr: primary.into(), tls: None };
                *control.places.write().unwrap_or_else(PoisonError::into_inner) = vec![place];
            }
            thread::sleep(ASK_AGAIN);
        }
    }

    fn ask(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let mut socket = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)?;
        socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        let mut bytes = Vec::new();
        request(&[b"SENTINEL", b"get-master-addr-by-name", self.name.as_bytes()], &mut bytes);
        socket.write_all(&bytes)?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 512]);
        while answer.len() < ANSWER_BYTES_MAX {
            let count = socket.read(&mut buffer)?;
            answer.extend_from_slice(&buffer[..count]);
            match ValueDecoder::new(ANSWER_BYTES_MAX).decode(&answer).map_err(io::Error::other)? {
                Some((value, _)) => return primary_of(&value).ok_or_else(|| io::ErrorKind::NotFound.into()),
                None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// An array of an IP address and a port.
fn primary_of(value: &Value) -> Option<SocketAddr> {
    let Value::Array(parts) = value else { return None };
    let [Value::Bulk(host), Value::Bulk(port)] = parts.as_slice() else { return None };
    let host = std::str::from_utf8(host).ok()?.parse().ok()?;
    Some(SocketAddr::new(host, std::str::from_utf8(port).ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_is_a_host_and_a_port() {
        let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let primary = primary_of(&Value::Array(vec![bulk("127.0.0.1"), bulk("7000")]));
        assert_eq!(primary, Some(SocketAddr::from(([127, 0, 0, 1], 7000))));
        assert_eq!(primary_of(&Value::Null), None);
        assert_eq!(primary_of(&Value::Array(vec![bulk("127.0.0.1"), bulk("many")])), None);
    }
}
