//! Giving a client that comes back what it has missed, no faster than it reads.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use carillon_proto::position::Cursor;

use super::{Shard, connection::Connection, dispatch, reader::Reader};

/// Bytes that may wait for the client before it is given more.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// How long a node may take to hear of a view that another node is in. It is voted out when it is much longer.
const EARLY_TIME_MAX: Duration = Duration::from_secs(5);

/// Until it is looked again whether it has.
const EARLY_PAUSE: Duration = Duration::from_millis(10);

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
    /// The node has to hear of the client's view first.
    Early(Cursor),
    /// It has got all, and gets messages as they come.
    Done,
    /// It has got nothing, because so many origins have forgotten some.
    Missing(usize),
}

/// Gives the client what it has asked for. Returns the reply, unless the connection ends.
pub(super) async fn run(reader: &Reader<'_>, replay: Replay) -> Option<Vec<u8>> {
    let (shard, connection) = (reader.shard, reader.connection);
    let Replay { mut cursor, is_strict } = replay;
    let (mut is_first, began) = (true, Instant::now());
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
            Step::Early(same) if began.elapsed() < EARLY_TIME_MAX => {
                (cursor, is_first) = (Some(same), true);
                tokio::time::sleep(EARLY_PAUSE).await;
            }
            Step::Early(_) => {
                give_up(shard, connection);
                return Some(b"-GAP this node is behind the view of the position\r\n".to_vec());
            }
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
    dispatch::unsubscribe_from_everything(shard, connection);
}
