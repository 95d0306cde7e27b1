//! [CLIENT](https://redis.io/docs/latest/commands/client/): about the connections of this node.

use std::{rc::Rc, time::Duration};

use carillon_proto::resp::{Encoder, Protocol, parse_integer};

use crate::server::{
    CloseReason, Shard,
    connection::Connection,
    dispatch::{Call, Flow},
    pause::Paused,
    session::Replies,
};

/// Longest CLIENT PAUSE, in milliseconds: a year, which is safe to add to any clock.
const PAUSE_MS_MAX: u64 = 365 * 24 * 3600 * 1000;

pub(super) const NAME_ERROR: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// Printable ASCII without the space, so that a name cannot break CLIENT LIST.
pub(super) fn is_valid_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

pub(super) fn getname(call: &Call<'_>) -> Flow {
    let name = call.connection.session.borrow().name.clone();
    call.reply(|reply| if name.is_empty() { reply.null() } else { reply.bulk(name) })
}

pub(super) fn setname(call: &Call<'_>) -> Flow {
    if !is_valid_name(call.arg(2)) {
        return call.error(NAME_ERROR);
    }
    call.connection.session.borrow_mut().name = call.arg(2).to_vec();
    call.ok()
}

pub(super) fn setinfo(call: &Call<'_>) -> Flow {
    let (is_name, value) = (call.is(2, "LIB-NAME"), call.arg(3));
    if !is_name && !call.is(2, "LIB-VER") {
        return call.error([b"ERR Unrecognized option '", call.arg(2), b"'"].concat());
    }
    if !is_valid_name(value) {
        let attribute = if is_name { "lib-name" } else { "lib-ver" };
        return call.error(format!("ERR {attribute} cannot contain spaces, newlines or special characters."));
    }
    let mut session = call.connection.session.borrow_mut();
    if is_name {
        session.lib_name = value.to_vec();
    } else {
        session.lib_ver = value.to_vec();
    }
    drop(session);
    call.ok()
}

/// NO-EVICT and NO-TOUCH.
pub(super) fn on_or_off(call: &Call<'_>) -> Flow {
    if call.is(2, "ON") || call.is(2, "OFF") { call.ok() } else { call.error("ERR syntax error") }
}

pub(super) fn reply(call: &Call<'_>) -> Flow {
    let replies = if call.is(2, "ON") {
        Replies::On
    } else if call.is(2, "OFF") {
        Replies::Off
    } else if call.is(2, "SKIP") {
        let mut session = call.connection.session.borrow_mut();
        if session.replies != Replies::Off {
            session.replies = Replies::SkipNext;
        }
        return Flow::Continue;
    } else {
        return call.error("ERR syntax error");
    };
    call.connection.session.borrow_mut().replies = replies;
    if replies == Replies::On { call.ok() } else { Flow::Continue }
}

pub(super) fn pause(call: &Call<'_>) -> Flow {
    let what = match call.len() {
        3 => Paused::Everything,
        4 if call.is(3, "ALL") => Paused::Everything,
        4 if call.is(3, "WRITE") => Paused::Publishing,
        4 => return call.error("ERR CLIENT PAUSE mode must be WRITE or ALL"),
        _ => return call.error("ERR syntax error"),
    };
    let Some(milliseconds) = parse_integer(call.arg(2)) else {
        return call.error("ERR timeout is not an integer or out of range");
    };
    let Ok(milliseconds) = u64::try_from(milliseconds) else {
        return call.error("ERR timeout is negative");
    };
    call.shard.node.pause.start(what, Duration::from_millis(milliseconds.min(PAUSE_MS_MAX)));
    call.ok()
}

pub(super) fn unpause(call: &Call<'_>) -> Flow {
    call.shard.node.pause.end();
    call.ok()
}

pub(super) fn info(call: &Call<'_>) -> Flow {
    let line = describe(call.shard, call.connection);
    call.reply(|reply| reply.verbatim(line))
}

/// CLIENT LIST: gathered from every shard, in the order of the connections' numbers.
pub(super) fn list(call: &Call<'_>) -> Flow {
    let filter = match parse_list_filter(call) {
        Ok(filter) => filter,
        Err(text) => return call.error(text),
    };
    let protocol = call.connection.session.borrow().protocol;
    let rows = on_every_shard(call.shard, move |shard| {
        let connections =
            shard.connections().into_iter().filter(|connection| filter.accepts(shard, connection));
        connections.map(|connection| (connection.id, describe(shard, &connection))).collect::<Vec<_>>()
    });
    Flow::Defer(Box::pin(async move {
        let mut rows: Vec<_> = rows.await.into_iter().flatten().collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        let text: Vec<u8> = rows.into_iter().flat_map(|(_, line)| line).collect();
        encoded(protocol, |reply| reply.verbatim(text))
    }))
}

/// CLIENT KILL: the old form takes an address, the new one filters that all have to hold.
pub(super) fn kill(call: &Call<'_>) -> Flow {
    let (mut filter, is_old_form) = match parse_kill_filter(call) {
        Ok(parsed) => parsed,
        Err(text) => return call.error(text),
    };
    if is_old_form {
        filter.skip = None;
    }
    let protocol = call.connection.session.borrow().protocol;
    let killed = on_every_shard(call.shard, move |shard| {
        let matching: Vec<_> =
            shard.connections().into_iter().filter(|connection| filter.accepts(shard, connection)).collect();
        matching.iter().for_each(|connection| connection.close(CloseReason::Killed));
        matching.len()
    });
    Flow::Defer(Box::pin(async move {
        let killed: usize = killed.await.into_iter().sum();
        encoded(protocol, |reply| match (is_old_form, killed) {
            (true, 0) => reply.error("ERR No such client"),
            (true, _) => reply.simple("OK"),
            (false, killed) => reply.integer(killed),
        })
    }))
}

/// Which connections LIST shows or KILL closes.
#[derive(Clone, Debug, Default)]
struct Filter {
    ids: Option<Vec<u64>>,
    is_subscriber: Option<bool>,
    addr: Option<Vec<u8>>,
    laddr: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    /// Nothing can match: there are no masters and no replicas.
    matches_none: bool,
    /// The connection that asks.
    skip: Option<u64>,
}

impl Filter {
    fn accepts(&self, shard: &Shard, connection: &Connection) -> bool {
        let is_subscriber = || shard.hub.borrow().counts(connection.seat).any();
        !self.matches_none
            && !connection.is_closing()
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&connection.id))
            && self.is_subscriber.is_none_or(|wanted| wanted == is_subscriber())
            && self.addr.as_ref().is_none_or(|addr| addr == connection.peer.as_bytes())
            && self.laddr.as_ref().is_none_or(|laddr| laddr == connection.local.as_bytes())
            && self.user.as_ref().is_none_or(|user| **user == *connection.session.borrow().user.name)
            && self.skip != Some(connection.id)
    }

    fn set_type(&mut self, word: &[u8]) -> Result<(), Vec<u8>> {
        match word.to_ascii_lowercase().as_slice() {
            b"normal" => self.is_subscriber = Some(false),
            b"pubsub" => self.is_subscriber = Some(true),
            b"master" | b"replica" | b"slave" => self.matches_none = true,
            _ => return Err([b"ERR Unknown client type '", word, b"'"].concat()),
        }
        Ok(())
    }
}

const SYNTAX_ERROR: &[u8] = b"ERR syntax error";

fn parse_list_filter(call: &Call<'_>) -> Result<Filter, Vec<u8>> {
    let mut filter = Filter::default();
    if call.len() == 4 && call.is(2, "TYPE") {
        filter.set_type(call.arg(3))?;
    } else if call.len() > 3 && call.is(2, "ID") {
        let id = |arg| parse_integer(arg).and_then(|id| u64::try_from(id).ok());
        let ids: Option<Vec<u64>> = call.request.args(3).map(id).collect();
        filter.ids = Some(ids.ok_or_else(|| b"ERR Invalid client ID".to_vec())?);
    } else if call.len() > 2 {
        return Err(SYNTAX_ERROR.to_vec());
    }
    Ok(filter)
}

fn parse_kill_filter(call: &Call<'_>) -> Result<(Filter, bool), Vec<u8>> {
    let mut filter = Filter { skip: Some(call.connection.id), ..Filter::default() };
    if call.len() == 3 {
        filter.addr = Some(call.arg(2).to_vec());
        return Ok((filter, true));
    }
    for at in (2..call.len()).step_by(2) {
        let Some(value) = call.request.get(at + 1) else { return Err(SYNTAX_ERROR.to_vec()) };
        if call.is(at, "ID") {
            let id = parse_integer(value).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
            filter.ids = Some(vec![id.ok_or_else(|| b"ERR client-id should be greater than 0".to_vec())?]);
        } else if call.is(at, "TYPE") {
            filter.set_type(value)?;
        } else if call.is(at, "ADDR") {
            filter.addr = Some(value.to_vec());
        } else if call.is(at, "LADDR") {
            filter.laddr = Some(value.to_vec());
        } else if call.is(at, "USER") {
            if call.shard.users.borrow().get(value).is_none() {
                return Err([b"ERR No such user '", value, b"'"].concat());
            }
            filter.user = Some(value.to_vec());
        } else if call.is(at, "SKIPME") {
            filter.skip = match value.to_ascii_lowercase().as_slice() {
                b"yes" => Some(call.connection.id),
                b"no" => None,
                _ => return Err(SYNTAX_ERROR.to_vec()),
            };
        } else {
            return Err(SYNTAX_ERROR.to_vec());
        }
    }
    Ok((filter, false))
}

/// Asks every shard, this one included, and collects the answers.
pub(super) fn on_every_shard<T: Send + 'static>(
    shard: &Rc<Shard>,
    ask: impl Fn(&Rc<Shard>) -> T + Clone + Send + 'static,
) -> impl Future<Output = Vec<T>> + 'static {
    let own = ask(shard);
    let others = shard.node.ask_shards(Some(shard.index), ask);
    async move {
        let mut answers = vec![own];
        for other in others {
            answers.extend(other.await.ok());
        }
        answers
    }
}

pub(super) fn encoded(protocol: Protocol, write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes, protocol));
    bytes
}

/// One line of CLIENT LIST. Fields about memory that Redis has and a node has not are zero.
pub(in crate::server) fn describe(shard: &Shard, connection: &Connection) -> Vec<u8> {
    let session = connection.session.borrow();
    let hub = shard.hub.borrow();
    let (counts, outbox) = (hub.counts(connection.seat), hub.outbox(connection.seat));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut flags = String::new();
    for (is_set, flag) in [
        (session.is_monitor, 'O'),
        (counts.any(), 'P'),
        (session.transaction.is_some(), 'x'),
        (connection.stream.is_unix(), 'U'),
    ] {
        flags.extend(is_set.then_some(flag));
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let multi = session.transaction.as_ref().map_or(-1, |transaction| transaction.queued.len() as i64);
    let multi_bytes = session.transaction.as_ref().map_or(0, |transaction| transaction.held.get());
    let (pending, pieces) = (outbox.pending_bytes(), outbox.pieces());
    format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} \
         multi={multi} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={multi_bytes} rbs=0 rbp=0 obl=0 oll={pieces} \
         omem={pending} tot-mem={} events={} cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={}\n",
        connection.id,
        connection.peer,
        connection.local,
        connection.stream.fd(),
        text(&session.name),
        session.connected.elapsed().as_secs(),
        session.last_active.elapsed().as_secs(),
        session.database,
        counts.channels,
        counts.patterns,
        counts.shard_channels,
        connection.unread_input.get(),
        pending + connection.unread_input.get() + multi_bytes,
        if connection.is_write_blocked.get() { "rw" } else { "r" },
        session.last_command,
        text(&session.user.name),
        session.protocol.number(),
        text(&session.lib_name),
        text(&session.lib_ver),
    )
    .into_bytes()
}
