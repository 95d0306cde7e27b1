//! CARILLON SUBSCRIBE: subscriptions whose messages carry numbers, from where the client was. Redis does not have it.
//! `POSITIONS.md` tells it from the client's side.

use std::sync::Arc;

use carillon_proto::{
    command,
    position::{Cursor, Origin, Position, Stamp},
    resp::parse_integer,
};

use crate::{
    hub::SubscriptionKind,
    server::{
        access,
        dispatch::{self, Call, Flow},
        replay::Replay,
    },
};

/// Origins that a position may name. A node knows its peers, and for a while those that have left.
const ORIGINS_MAX: usize = 1024;

/// What a request says.
struct Wanted {
    is_strict: bool,
    position: Option<Position>,
    /// Kinds, and where the names of each are in the request.
    names: Vec<(SubscriptionKind, std::ops::Range<usize>)>,
}

/// Subscribes to all that is named, gives the client what it has missed of it, and answers behind that.
pub(super) fn subscribe(call: &Call<'_>) -> Flow {
    let wanted = match parse(call) {
        Ok(wanted) => wanted,
        Err(text) => return call.error(format!("ERR {text}")),
    };
    let (shard, connection) = (call.shard, call.connection);
    let names = || wanted.names.iter().flat_map(|(kind, range)| range.clone().map(move |at| (*kind, at)));
    if !connection.is_unchecked.get() {
        let channels: Vec<(usize, bool)> =
            names().map(|(kind, at)| (at, kind == SubscriptionKind::Pattern)).collect();
        let user = Arc::clone(&connection.session.borrow().user);
        if let Some(spec) = command::find_full(b"carillon|subscribe")
            && let Err(denied) = user.check_with_channels(spec, call.len(), |at| call.arg(at), &channels)
        {
            access::note_denied(call, spec, denied);
            return call.error(denied.text(spec));
        }
    }
    if let Some(objection) = objection(call, &wanted) {
        return call.error(objection);
    }
    shard.set_positioned(connection, true);
    shard.hub.borrow_mut().set_replaying(connection.seat, wanted.position.is_some());
    for (kind, at) in names() {
        if let Err(reason) = dispatch::subscribe(shard, connection.seat, kind, call.arg(at)) {
            return Flow::Close(reason);
        }
    }
    Flow::Replay(Replay { cursor: wanted.position.map(Cursor::from), is_strict: wanted.is_strict })
}

/// Why the connection cannot have this.
fn objection(call: &Call<'_>, wanted: &Wanted) -> Option<&'static str> {
    let (hub, seat) = (call.shard.hub.borrow(), call.connection.seat);
    let is_subscribed = hub.counts(seat).any();
    if !hub.can_be_positioned(seat) {
        Some("ERR CARILLON SUBSCRIBE needs RESP3; say HELLO 3 first")
    } else if is_subscribed && !hub.is_positioned(seat) {
        Some("ERR the connection has other subscriptions; CARILLON SUBSCRIBE comes before them")
    } else if is_subscribed && wanted.position.is_some() {
        Some("ERR POSITION goes with the first subscriptions of a connection")
    } else {
        None
    }
}

fn parse(call: &Call<'_>) -> Result<Wanted, &'static str> {
    let mut wanted = Wanted { is_strict: false, position: None, names: Vec::new() };
    let mut at = 2;
    while at < call.len() {
        let kind = if call.is(at, "CHANNELS") {
            SubscriptionKind::Channel
        } else if call.is(at, "PATTERNS") {
            SubscriptionKind::Pattern
        } else if call.is(at, "SHARDCHANNELS") {
            SubscriptionKind::ShardChannel
        } else if call.is(at, "COMPLETE") {
            wanted.is_strict = true;
            at += 1;
            continue;
        } else if call.is(at, "POSITION") {
            at = parse_position(call, at + 1, &mut wanted)?;
            continue;
        } else {
            return Err(
                "syntax error; CARILLON SUBSCRIBE takes COMPLETE, POSITION, CHANNELS, PATTERNS, SHARDCHANNELS",
            );
        };
        let count = number(call, at + 1).ok_or("a number of names is missing")?;
        let first = at + 2;
        at = usize::try_from(count).ok().and_then(|count| first.checked_add(count)).unwrap_or(usize::MAX);
        if at > call.len() {
            return Err("there are fewer names than it says");
        }
        wanted.names.push((kind, first..at));
    }
    if wanted.names.iter().all(|(_, range)| range.is_empty()) {
        return Err("no name to subscribe to");
    }
    Ok(wanted)
}

/// Returns where the position ends.
fn parse_position(call: &Call<'_>, mut at: usize, wanted: &mut Wanted) -> Result<usize, &'static str> {
    const PROBLEM: &str = "a position is an epoch, a number of origins, and each origin with a number";
    let epoch = number(call, at).ok_or(PROBLEM)?;
    let count = number(call, at + 1).and_then(|count| usize::try_from(count).ok()).ok_or(PROBLEM)?;
    if count > ORIGINS_MAX {
        return Err("a position with more origins than there can be");
    }
    at += 2;
    let mut position = Position { epoch, seen: Vec::new() };
    for _ in 0..count {
        let origin = call.request.get(at).and_then(|text| std::str::from_utf8(text).ok());
        let origin: Origin = origin.and_then(|text| text.parse().ok()).ok_or(PROBLEM)?;
        position.seen.push(Stamp { origin, number: number(call, at + 1).ok_or(PROBLEM)? });
        at += 2;
    }
    wanted.position = Some(position);
    Ok(at)
}

fn number(call: &Call<'_>, at: usize) -> Option<u64> {
    call.request.get(at).and_then(parse_integer).and_then(|number| u64::try_from(number).ok())
}
