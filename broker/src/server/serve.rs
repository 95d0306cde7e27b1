//! A connection's task, from its first byte to its last.

use std::{io, rc::Rc, time::Duration};

use super::{CloseReason, Shard, connection::Connection, dispatch, reader::Reader};

/// How long a closing connection may take to receive its last replies.
const LAST_REPLIES_TIME_MAX: Duration = Duration::from_secs(2);

/// How long the client may take to close its side after that. Closing with unread input makes the kernel send
/// a reset, which may take the last replies with it.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves one connection from its first byte to its last.
pub(crate) async fn serve(shard: Rc<Shard>, connection: Rc<Connection>) {
    tracing::debug!(client = connection.id, addr = connection.peer, "connected");
    let _departure = Departure { shard: &shard, connection: &connection };
    let mut reader = Reader::new(&shard, &connection);
    let reason = reader.run().await;
    connection.stream.set_end(reason);
    end_subscriptions_in_turns(&shard, &connection).await;
    if reason.answers_first() {
        finish(&reader).await;
    }
    report(&shard, &connection, reason);
}

/// Clears a connection's place whatever ends its task: a panic must not leave a socket that is open and deaf.
struct Departure<'a> {
    shard: &'a Rc<Shard>,
    connection: &'a Rc<Connection>,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (client, addr) = (self.connection.id, &self.connection.peer);
            tracing::error!(
                client,
                addr,
                "a command made the connection's task panic; the connection is closed"
            );
            self.shard.stats().closed[CloseReason::Panic.index()].add(1);
        }
        end_subscriptions(self.shard, self.connection);
        self.shard.leave(self.connection.seat);
    }
}

/// Subscriptions that are ended before other connections get their turn.
const ENDED_IN_A_TURN_MAX: usize = 1_000;

/// As [`end_subscriptions`], with the other connections served meanwhile.
async fn end_subscriptions_in_turns(shard: &Shard, connection: &Connection) {
    while dispatch::unsubscribe_some(shard, connection.seat, ENDED_IN_A_TURN_MAX) {
        tokio::task::yield_now().await;
    }
    end_subscriptions(shard, connection);
}

pub(super) fn end_subscriptions(shard: &Shard, connection: &Connection) {
    dispatch::unsubscribe_from_everything(shard, connection);
    if std::mem::take(&mut connection.session.borrow_mut().is_monitor) {
        shard.remove_monitor(connection.seat);
    }
}

fn report(shard: &Shard, connection: &Connection, reason: CloseReason) {
    shard.stats().closed[reason.index()].add(1);
    let session = connection.session.borrow();
    let name = String::from_utf8_lossy(&session.name);
    let (client, addr, reason_label) = (connection.id, &connection.peer, reason.label());
    if reason.is_notable() {
        tracing::info!(client, addr, %name, reason = reason_label, "connection closed");
    } else {
        tracing::debug!(client, addr, %name, reason = reason_label, "connection closed");
    }
}

/// Sends the last replies and waits for the client to close.
async fn finish(reader: &Reader<'_>) {
    let (shard, connection) = (reader.shard, reader.connection);
    let sent = async {
        while connection.publishes_in_flight() > 0 {
            reader.wait_for_room().await;
        }
        loop {
            shard.write(connection);
            if shard.hub.borrow().outbox(connection.seat).is_empty() && !connection.stream.has_unsent() {
                return;
            }
            let ready = std::future::poll_fn(|context| connection.stream.poll_write_ready(context));
            if ready.await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LAST_REPLIES_TIME_MAX, sent).await;
    if connection.stream.finish().is_err() {
        return;
    }
    let closed = async {
        let mut discarded = Vec::with_capacity(4096);
        loop {
            discarded.clear();
            match connection.stream.try_read(&mut discarded) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = std::future::poll_fn(|context| connection.stream.poll_read_ready(context));
                    if ready.await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER_TIME_MAX, closed).await;
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
        sync::Arc,
    };

    use ahash::RandomState;

    use super::*;
    use crate::{
        config::Settings,
        server::{LiveSettings, Log, Node, NodeSettings, stream::SocketKind},
    };

    fn ask(client: &mut UnixStream, request: &str, answer: &str) {
        client.write_all(request.as_bytes()).unwrap();
        let mut received = vec![0; answer.len()];
        client.read_exact(&mut received).unwrap();
        assert_eq!(String::from_utf8_lossy(&received), answer);
    }

    /// What no command is known to do: a defect that is not found yet must cost its own client only.
    #[test]
    fn a_panic_in_a_connection_is_counted_closes_it_and_harms_no_other() {
        let live = LiveSettings::new(&Settings::default(), Log::new(|_| {}));
        let settings =
            NodeSettings { shards: 1, argument_bytes_max: 1024, user_timeout_ms: 0, tcp_port: 0, live };
        let node = Node::new(settings, false, RandomState::new(), String::new());
        let shards = node.start().unwrap();
        let connect = || {
            let (client, server) = UnixStream::pair().unwrap();
            server.set_nonblocking(true).unwrap();
            node.adopt(SocketKind::Unix(server), "a test", "a test".into(), None).unwrap();
            client
        };
        let mut victim = connect();
        ask(&mut victim, "SUBSCRIBE c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        let mut other = connect();
        ask(&mut other, "PUBSUB NUMSUB c\r\n", "*2\r\n$1\r\nc\r\n:1\r\n");
        // Borrowed for good, it makes the next look at it a panic.
        node.on_shard(0, |shard| {
            let victim = Rc::clone(&shard.connections()[0]);
            victim.wake();
            std::mem::forget(victim.waker.borrow_mut());
        });
        assert_eq!(victim.read(&mut [0; 1]).unwrap(), 0, "it is closed");
        ask(&mut other, "PUBSUB NUMSUB c\r\n", "*2\r\n$1\r\nc\r\n:0\r\n");
        assert_eq!(node.total(|shard| shard.closed[CloseReason::Panic.index()].get()), 1);
        assert_eq!(node.clients(), 1);
        node.end();
        shards.into_iter().for_each(|shard| shard.join().unwrap());
        assert_eq!(Arc::strong_count(&node), 1, "nothing is left of it");
    }
}
