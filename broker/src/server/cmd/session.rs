//! Commands about the connection as a whole.

use std::sync::atomic::Ordering;

use carillon_proto::resp::{Protocol, parse_integer};

use super::client::{NAME_ERROR, is_valid_name};
use crate::{
    acl::DEFAULT,
    server::{
        CloseReason, access,
        dispatch::{self, Call, Flow},
        session::{Replies, Session},
    },
};

/// The Redis version whose behaviour a node has: the first with CLIENT SETINFO.
pub(super) const REDIS_VERSION: &str = "7.2.0";

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

const HELLO_NEEDS_AUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
     HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
     the same time";

/// Databases that SELECT accepts: Redis's default.
const DATABASES: i64 = 16;

/// PONG; a RESP2 subscriber gets it in the shape of a message.
pub(super) fn ping(call: &Call<'_>) -> Flow {
    if call.len() > 2 {
        return call.error("ERR wrong number of arguments for 'ping' command");
    }
    let is_resp2 = call.connection.session.borrow().protocol == Protocol::Resp2;
    if is_resp2 && call.shard.hub.borrow().counts(call.connection.seat).any() {
        return call.reply(|reply| {
            reply.array(2);
            reply.bulk("pong");
            reply.bulk(call.request.get(1).unwrap_or_default());
        });
    }
    call.reply(|reply| match call.request.get(1) {
        Some(message) => reply.bulk(message),
        None => reply.simple("PONG"),
    })
}

/// [HELLO](https://redis.io/docs/latest/commands/hello/): all options are checked before any takes effect.
pub(super) fn hello(call: &Call<'_>) -> Flow {
    let protocol = match call.request.get(1).map(parse_integer) {
        None => None,
        Some(None) => return call.error("ERR Protocol version is not an integer or out of range"),
        Some(Some(2)) => Some(Protocol::Resp2),
        Some(Some(3)) => Some(Protocol::Resp3),
        Some(Some(_)) => return call.error("NOPROTO unsupported protocol version"),
    };
    let (mut name, mut credentials, mut at) = (None, None, 2);
    while at < call.len() {
        let left = call.len() - at - 1;
        if call.is(at, "AUTH") && left >= 2 {
            credentials = Some((call.arg(at + 1), call.arg(at + 2)));
            at += 3;
        } else if call.is(at, "SETNAME") && left >= 1 {
            if !is_valid_name(call.arg(at + 1)) {
                return call.error(NAME_ERROR);
            }
            name = Some(call.arg(at + 1));
            at += 2;
        } else {
            let option = [b"ERR Syntax error in HELLO option '", call.arg(at), b"'"].concat();
            return call.error(option);
        }
    }
    if let Some((user, password)) = credentials
        && !access::log_in(call, user, password)
    {
        return call.error(WRONG_PASSWORD);
    }
    if access::needs_auth(call.shard, call.connection) {
        return call.error(HELLO_NEEDS_AUTH);
    }
    if protocol == Some(Protocol::Resp2) && call.shard.hub.borrow().is_positioned(call.connection.seat) {
        return call.error("ERR after CARILLON SUBSCRIBE a connection speaks RESP3; RESET ends it");
    }
    if let Some(protocol) = protocol {
        call.connection.session.borrow_mut().protocol = protocol;
        call.shard.hub.borrow_mut().set_protocol(call.connection.seat, protocol);
    }
    if let Some(name) = name {
        call.connection.session.borrow_mut().name = name.to_vec();
    }
    let protocol = call.connection.session.borrow().protocol;
    call.reply(|reply| {
        reply.map(7);
        reply.bulk("server");
        reply.bulk("redis");
        reply.bulk("version");
        reply.bulk(REDIS_VERSION);
        reply.bulk("proto");
        reply.integer(protocol.number());
        reply.bulk("id");
        reply.integer(call.connection.id);
        reply.bulk("mode");
        reply.bulk("standalone");
        reply.bulk("role");
        reply.bulk("master");
        reply.bulk("modules");
        reply.array(0);
    })
}

/// [AUTH](https://redis.io/docs/latest/commands/auth/): with a password alone it is the default user's.
pub(super) fn auth(call: &Call<'_>) -> Flow {
    let (user, password) = match call.len() {
        2 if call.shard.users.borrow().default_user().is_nopass() => {
            return call.error(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            );
        }
        2 => (DEFAULT, call.arg(1)),
        3 => (call.arg(1), call.arg(2)),
        _ => return call.error("ERR syntax error"),
    };
    if access::log_in(call, user, password) { call.ok() } else { call.error(WRONG_PASSWORD) }
}

pub(super) fn select(call: &Call<'_>) -> Flow {
    match parse_integer(call.arg(1)) {
        None => call.error("ERR value is not an integer or out of range"),
        Some(database @ 0..DATABASES) => {
            call.connection.session.borrow_mut().database = database as u8;
            call.ok()
        }
        Some(_) => call.error("ERR DB index is out of range"),
    }
}

pub(super) fn quit(call: &Call<'_>) -> Flow {
    call.ok();
    Flow::Close(CloseReason::Quit)
}

/// [RESET](https://redis.io/docs/latest/commands/reset/): as if the connection were new, but for its number.
pub(super) fn reset(call: &Call<'_>) -> Flow {
    let seat = call.connection.seat;
    dispatch::unsubscribe_from_everything(call.shard, call.connection);
    let mut session = call.connection.session.borrow_mut();
    if session.is_monitor {
        call.shard.remove_monitor(seat);
    }
    let users = std::sync::Arc::clone(&call.shard.users.borrow());
    let new = Session::new(session.last_active, users.default_user());
    *session = Session { connected: session.connected, ..new };
    session.last_command = "reset";
    session.replies = Replies::On;
    drop(session);
    access::look_again(call.shard, call.connection);
    call.shard.hub.borrow_mut().set_protocol(seat, Protocol::Resp2);
    call.reply(|reply| reply.simple("RESET"))
}

pub(super) fn monitor(call: &Call<'_>) -> Flow {
    if call.is_queued {
        return call.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    }
    if !call.connection.session.borrow().is_monitor {
        let (node, monitors_max) = (&call.shard.node, call.shard.node.settings.live.limits.monitors.get());
        if node.monitors.load(Ordering::SeqCst) as u64 >= monitors_max {
            return call.error(format!("ERR there are {monitors_max} monitors already (monitors-max)"));
        }
        call.connection.session.borrow_mut().is_monitor = true;
        call.shard.add_monitor(call.connection.seat);
    }
    call.ok()
}

/// [SHUTDOWN](https://redis.io/docs/latest/commands/shutdown/): there is nothing to save, so its options are
/// checked and otherwise alike.
pub(super) fn shutdown(call: &Call<'_>) -> Flow {
    let options: Vec<Vec<u8>> = call.request.args(1).map(<[u8]>::to_ascii_lowercase).collect();
    let has = |word: &str| options.iter().any(|option| option == word.as_bytes());
    let known = ["save", "nosave", "now", "force", "abort"];
    if options.iter().any(|option| !known.iter().any(|word| option == word.as_bytes()))
        || has("save") && has("nosave")
        || has("abort") && options.len() > 1
    {
        return call.error("ERR syntax error");
    }
    if has("abort") {
        return call.error("ERR No shutdown in progress.");
    }
    tracing::info!(client = call.connection.id, addr = call.connection.peer, "SHUTDOWN was called");
    call.shard.node.stop();
    Flow::Close(CloseReason::Shutdown)
}

/// FLUSHALL, FLUSHDB, SCRIPT FLUSH, FUNCTION FLUSH: nothing to flush.
pub(super) fn flush(call: &Call<'_>, option: usize, syntax_error: &str) -> Flow {
    let is_known = call.len() == option || call.is(option, "SYNC") || call.is(option, "ASYNC");
    if is_known && call.len() <= option + 1 { call.ok() } else { call.error(syntax_error) }
}
