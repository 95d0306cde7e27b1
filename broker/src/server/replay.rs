//! Giving a client that comes back what it has missed, no faster than it reads.

use std::rc::Rc;

use carillon_proto::position::Cursor;

use super::{Shard, connection::Connection, dispatch, reader::Reader};
use crate::hub::SubscriptionKind;

/// Bytes that may wait for the client before it is given more.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// What a client has asked for with CARILLON SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Replay {
    /// Where it goes on; it begins now if it does not say.
    pub(crate) cursor: Option<Cursor>,
    /// It wants all of it or nothing.
    pub(crate) is_strict: bool,
}

/// What has come of one question for recent messages.
#[derive(Debug)]
pub(super) enum Step {
    /// There are more, behind this.
    More(Cursor),
    /// It has got all, and gets messages as they come.
    Done,
    /// It has got nothing, because so many origins have forgotten some.
    Missing(usize),
}

/// Gives the client what it has asked for. Returns the reply, unless the connection ends.
pub(super) async fn run(reader: &Reader<'_>, replay: Replay) -> Option<Vec<u8>> {
    let (shard, connection) = (reader.shard, reader.connection);
    let Replay { mut cursor, is_strict } = replay;
    let mut is_first = true;
    loop {
        while shard.hub.borrow().outbox(connection.seat).pending_bytes() > WAITING_BYTES_MAX {
            if connection.is_closing() {
                return None;
            }
            reader.wait_for_room().await;
        }
        let mut answer = shard.ask_recent(connection, cursor.take(), is_strict && is_first);
        is_first = false;
        let step = loop {
            tokio::select! {
                step = &mut answer => break step.ok()?,
                () = reader.wait_for_room() => if connection.is_closing() { return None },
            }
        };
        match step {
            Step::More(next) => cursor = Some(next),
            Step::Done => return Some(b"+OK\r\n".to_vec()),
            Step::Missing(origins) => {
                give_up(shard, connection);
                let text = format!("-GAP messages of {origins} origins are not kept any more\r\n");
                return Some(text.into_bytes());
            }
        }
    }
}

/// Nothing was subscribed to.
fn give_up(shard: &Rc<Shard>, connection: &Connection) {
    for kind in SubscriptionKind::ALL {
        dispatch::unsubscribe_all(shard, connection.seat, kind, |_| {});
    }
    shard.set_positioned(connection, false);
}
