//! A connection, as its users hold it.

use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use carillon_proto::resp::{Encoder, Protocol, Value};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use crate::{
    Address, ConnectError, ConnectionLost, ConnectionSettings, Endpoint, LossCause, RequestError,
    driver::Driver,
    handshake,
    order::Order,
    transport::{Network, Transport, has_ended, is_tls},
};

/// Requests that wait for the connection's task to take them; further ones wait in `send`.
const ORDERS_MAX: usize = 64;

/// What stands around a string of a command: a sign, a length, two ends of lines. No command is as long as its length
/// would have to be to take more.
const HEADER_BYTES_MAX: usize = 16;

/// Commands that are not answered by one reply, or change what the connection speaks or what its next requests do: whoever
/// shares it would not know.
const NOT_REQUESTS: [&str; 19] = [
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "sunsubscribe",
    "hello",
    "reset",
    "quit",
    "monitor",
    "sync",
    "psync",
    "auth",
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "select",
];

/// Whether it can be sent as a request.
pub(crate) fn check_request<A: AsRef<[u8]>>(args: &[A]) -> Result<(), RequestError> {
    let verb = args.first().ok_or(RequestError::Empty)?.as_ref();
    let is = |at: usize, word: &str| {
        args.get(at).is_some_and(|arg| arg.as_ref().eq_ignore_ascii_case(word.as_bytes()))
    };
    if NOT_REQUESTS.iter().any(|refused| is(0, refused)) {
        return Err(RequestError::NotARequest { verb: String::from_utf8_lossy(verb).into_owned() });
    }
    if is(0, "client") && is(1, "reply") {
        return Err(RequestError::NotARequest { verb: "client reply".to_owned() });
    }
    Ok(())
}

/// A connection; clones share it. It is closed when all clones and its subscriber are gone.
#[derive(Clone, Debug)]
pub struct Connection {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

/// What the connection's users and its task both know.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) endpoint: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) settings: ConnectionSettings,
    /// Set once, when the connection is lost.
    pub(crate) lost: OnceLock<ConnectionLost>,
}

/// A reply that has not arrived yet. Dropping it leaves the request sent.
#[derive(Debug)]
pub struct Reply {
    value: oneshot::Receiver<Result<Value, RequestError>>,
    shared: Arc<Shared>,
}

impl Connection {
    /// Connects, agrees on a protocol and authenticates.
    ///
    /// The connection runs in a task of the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Why there is no connection, within [`connect_time_max`](ConnectionSettings::connect_time_max).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn open(address: &Address, settings: ConnectionSettings) -> Result<Self, ConnectError> {
        Self::open_over(&Network::default(), address, settings).await
    }

    /// As [`open`](Self::open), with its errors and panics, over streams that `transport` makes.
    pub async fn open_over(
        transport: &dyn Transport,
        address: &Address,
        settings: ConnectionSettings,
    ) -> Result<Self, ConnectError> {
        let (connection, driver) = Self::establish(transport, address, settings).await?;
        tokio::spawn(driver.run());
        Ok(connection)
    }

    /// As [`open_over`](Self::open_over), but nothing happens on it unless its driver is [run](Driver::run).
    pub(crate) async fn establish(
        transport: &dyn Transport,
        address: &Address,
        settings: ConnectionSettings,
    ) -> Result<(Self, Driver), ConnectError> {
        let (endpoint, settings) = (address.endpoint.clone(), settings.bounded());
        let opening = async {
            let mut socket = match transport.open(&endpoint).await {
                Ok(socket) => socket,
                Err(error) if has_ended(&error) => {
                    return Err(ConnectError::ServerEnded { endpoint: endpoint.clone() });
                }
                Err(error) if is_tls(&error) => {
                    return Err(ConnectError::Tls { endpoint: endpoint.clone(), error });
                }
                Err(error) => return Err(ConnectError::Unreachable { endpoint: endpoint.clone(), error }),
            };
            let mut input = BytesMut::new();
            let protocol = handshake::greet(&mut socket, &mut input, address).await?;
            Ok((socket, input, protocol))
        };
        let after = settings.connect_time_max;
        let (socket, input, protocol) = match time::timeout(after, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(ConnectError::TimedOut { endpoint, after }),
        };
        let shared = Arc::new(Shared { endpoint, protocol, settings, lost: OnceLock::new() });
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let driver = Driver::new(socket, input, Arc::clone(&shared), taken);
        Ok((Self { orders, shared }, driver))
    }

    /// Where it is connected to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// What was agreed on.
    pub fn protocol(&self) -> Protocol {
        self.shared.protocol
    }

    pub(crate) fn settings(&self) -> &ConnectionSettings {
        &self.shared.settings
    }

    /// Sends a command and waits for its reply.
    ///
    /// Requests that run at the same time, on clones or joined, are pipelined. A command that blocks on the
    /// server must do so for less than [`silence_time_max`](ConnectionSettings::silence_time_max). Dropped before it is done, it
    /// has sent nothing or all.
    ///
    /// # Errors
    ///
    /// [`Refused`](RequestError::Refused) with an error reply, [`Lost`](RequestError::Lost), and, before anything is sent,
    /// [`NotARequest`](RequestError::NotARequest), [`Empty`](RequestError::Empty) or
    /// [`OnlySubscriptions`](RequestError::OnlySubscriptions). No request are commands that are not answered by one reply, that
    /// subscribe, authenticate or change what the connection is (HELLO, RESET, QUIT, MONITOR, SELECT, CLIENT REPLY), and transactions:
    /// who shares the connection would be part of them.
    pub async fn request<A: AsRef<[u8]>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Value, RequestError> {
        self.send(args).await?.value().await
    }

    /// Sends a command and returns its reply to come: for pipelines in an order.
    ///
    /// Waits while too many requests are in flight. Dropped before it is done, it has sent nothing or all.
    ///
    /// # Errors
    ///
    /// Nothing was sent: the command cannot be [a request](RequestError::NotARequest), or the connection is
    /// [lost](RequestError::Lost) already.
    pub async fn send<A: AsRef<[u8]>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Reply, RequestError> {
        let args: Vec<A> = args.into_iter().collect();
        check_request(&args)?;
        self.send_words(&args).await
    }

    /// As [`send`](Self::send), of what [can be sent](check_request).
    pub(crate) async fn send_words<A: AsRef<[u8]>>(&self, args: &[A]) -> Result<Reply, RequestError> {
        let (reply, value) = oneshot::channel();
        self.order(Order::Request { bytes: encode(args), reply }).await?;
        Ok(Reply { value, shared: Arc::clone(&self.shared) })
    }

    /// Waits until the connection is lost, and returns why. May be dropped and called again.
    pub async fn closed(&self) -> ConnectionLost {
        self.orders.closed().await;
        self.lost()
    }

    /// Whether it is lost, so that nothing can be sent on it.
    pub fn is_lost(&self) -> bool {
        self.orders.is_closed()
    }

    /// Whether its end is known, which is before [`is_lost`](Self::is_lost).
    pub(crate) fn is_over(&self) -> bool {
        self.shared.lost.get().is_some() || self.is_lost()
    }

    pub(crate) async fn order(&self, order: Order) -> Result<(), ConnectionLost> {
        self.orders.send(order).await.map_err(|_| self.lost())
    }

    /// Why the connection was lost, once its task has ended.
    pub(crate) fn lost(&self) -> ConnectionLost {
        self.shared.lost()
    }
}

impl Shared {
    pub(crate) fn lost(&self) -> ConnectionLost {
        self.lost.get().cloned().unwrap_or_else(|| ConnectionLost {
            endpoint: self.endpoint.clone(),
            cause: LossCause::Stopped,
            last_heard: std::time::SystemTime::now(),
            complete_until: std::time::SystemTime::UNIX_EPOCH,
        })
    }
}

impl Reply {
    /// Waits for the reply. Dropped, it leaves the request sent.
    ///
    /// # Errors
    ///
    /// [`Refused`](RequestError::Refused) with an error reply, and [`Lost`](RequestError::Lost).
    pub async fn value(self) -> Result<Value, RequestError> {
        self.value.await.unwrap_or_else(|_| Err(self.shared.lost().into()))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }
}

/// A command as the array of bulk strings that servers expect.
pub(crate) fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let len: usize = args.iter().map(|arg| HEADER_BYTES_MAX + arg.as_ref().len()).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX + len);
    let mut encoder = Encoder::new(&mut bytes, Protocol::Resp2);
    encoder.array(args.len());
    args.iter().for_each(|arg| encoder.bulk(arg));
    bytes
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        assert_eq!(encode(&["ping", ""]), b"*2\r\n$4\r\nping\r\n$0\r\n\r\n");
    }
}
