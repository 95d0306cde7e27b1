//! [ACL](https://redis.io/docs/latest/commands/acl/): users, and what they may do.

use std::sync::Arc;

use carillon_proto::{
    command::{self, Categories, CommandSpec},
    resp::{Encoder, parse_integer},
};

use super::client::encoded;
use crate::{
    acl::{
        Change, Changed, DEFAULT, Denied, Known, LogEntry, Selector, User, Users, is_valid_name,
        merge_selectors, to_text, without_plain_passwords,
    },
    server::{
        StoreError,
        dispatch::{Call, Flow},
    },
};

/// Bits of randomness that GENPASS gives when it is not told otherwise, and at most.
const GENPASS_BITS: usize = 256;
const GENPASS_BITS_MAX: usize = 4096;

/// Entries that LOG tells when it is not told otherwise.
const LOG_ENTRIES: usize = 10;

pub(super) fn whoami(call: &Call<'_>) -> Flow {
    let user = Arc::clone(&call.connection.session.borrow().user);
    call.reply(|reply| reply.bulk(&user.name))
}

pub(super) fn users(call: &Call<'_>) -> Flow {
    let users = current(call);
    call.reply(|reply| {
        reply.array(users.iter().len());
        users.iter().for_each(|user| reply.bulk(&user.name));
    })
}

pub(super) fn list(call: &Call<'_>) -> Flow {
    let users = current(call);
    call.reply(|reply| {
        reply.array(users.iter().len());
        for user in users.iter() {
            reply.bulk([b"user ", &*user.name, b" ", &user.describe()].concat());
        }
    })
}

pub(super) fn getuser(call: &Call<'_>) -> Flow {
    let found = current(call).get(call.arg(2)).cloned();
    call.reply(|reply| {
        let Some(user) = found else { return reply.null() };
        reply.map(6);
        reply.bulk("flags");
        reply.set(user.flags().len());
        user.flags().iter().for_each(|flag| reply.bulk(flag));
        reply.bulk("passwords");
        reply.array(user.passwords().len());
        user.passwords().iter().for_each(|hash| reply.bulk(hash.to_string()));
        write_selector(reply, user.own_selector());
        reply.bulk("selectors");
        reply.array(user.more_selectors().len());
        for selector in user.more_selectors() {
            reply.map(3);
            write_selector(reply, selector);
        }
    })
}

fn write_selector(reply: &mut Encoder<'_>, selector: &Selector) {
    reply.bulk("commands");
    reply.bulk(selector.describe_commands());
    reply.bulk("keys");
    reply.bulk(selector.describe_keys());
    reply.bulk("channels");
    reply.bulk(selector.describe_channels());
}

/// All rules are tried here first, so that their errors are told at once and nothing half-made is sent anywhere.
pub(super) fn setuser(call: &Call<'_>) -> Flow {
    let name = call.arg(2);
    if !is_valid_name(name) {
        return call.error("ERR Usernames can't contain spaces or null characters");
    }
    let rules = match merge_selectors(call.request.args(3)) {
        Ok(rules) => rules,
        Err(start) => {
            let text = [b"ERR Unmatched parenthesis in acl selector starting at '", &*start, b"'."];
            return call.error(text.concat());
        }
    };
    let mut user = current(call).get(name).map_or_else(|| User::new(name), |user| User::clone(user));
    for rule in &rules {
        if let Err(error) = user.apply(rule, Known::Table) {
            let text = [b"ERR Error in ACL SETUSER modifier '", &**rule, b"': "].concat();
            return call.error([text, error.to_string().into_bytes()].concat());
        }
    }
    tracing::info!(
        client = call.connection.id,
        addr = call.connection.peer,
        user = %name.escape_ascii(),
        "ACL SETUSER"
    );
    change(call, set(&current(call), name, rules), |reply, _| reply.simple("OK"))
}

/// The change that applies rules to a user.
pub(super) fn set(users: &Users, name: &[u8], rules: Vec<Vec<u8>>) -> Change {
    // Only the default user can be there without being kept: it may have its password from the settings.
    let base = users.get(name).filter(|_| name == DEFAULT).map(|user| user.describe());
    Change::Set {
        name: to_text(name),
        base: to_text(&base.unwrap_or_else(|| User::new(name).describe())),
        rules: rules.into_iter().map(|rule| to_text(&without_plain_passwords(rule))).collect(),
    }
}

pub(super) fn deluser(call: &Call<'_>) -> Flow {
    if call.request.args(2).any(|name| name == DEFAULT) {
        return call.error("ERR The 'default' user cannot be removed");
    }
    let names = call.request.args(2).map(to_text).collect();
    tracing::info!(client = call.connection.id, addr = call.connection.peer, ?names, "ACL DELUSER");
    change(call, Change::Delete { names }, |reply, changed| reply.integer(changed.removed))
}

fn change(call: &Call<'_>, change: Change, answer: impl FnOnce(&mut Encoder<'_>, Changed) + 'static) -> Flow {
    let Some(store) = call.shard.node.access.store() else {
        return call.error(StoreError::Failed("the node is starting".to_owned()).text());
    };
    let (protocol, changing) = (call.connection.session.borrow().protocol, store.change(change));
    Flow::Defer(Box::pin(async move {
        let changed = changing.await;
        encoded(protocol, |reply| match changed {
            Ok(changed) => answer(reply, changed),
            Err(error) => reply.error(error.text()),
        })
    }))
}

pub(super) fn load(call: &Call<'_>) -> Flow {
    file(call, |store| store.load())
}

pub(super) fn save(call: &Call<'_>) -> Flow {
    file(call, |store| store.save())
}

fn file(
    call: &Call<'_>,
    ask: impl FnOnce(&dyn crate::server::UserStore) -> crate::server::Answer<Result<(), StoreError>>,
) -> Flow {
    let Some(store) = call.shard.node.access.store() else {
        return call.error(StoreError::NoFile.text());
    };
    let (protocol, asked) = (call.connection.session.borrow().protocol, ask(&**store));
    Flow::Defer(Box::pin(async move {
        let done = asked.await;
        encoded(protocol, |reply| match done {
            Ok(()) => reply.simple("OK"),
            Err(error) => reply.error(error.text()),
        })
    }))
}

pub(super) fn cat(call: &Call<'_>) -> Flow {
    match call.len() {
        2 => call.reply(|reply| {
            reply.array(Categories::all_names().len());
            Categories::all_names().for_each(|name| reply.bulk(name));
        }),
        3 => {
            let Some(category) = Categories::named(call.arg(2)) else {
                return call.error([b"ERR Unknown category '", call.arg(2), b"'"].concat());
            };
            let specs: Vec<&CommandSpec> =
                command::all().filter(|spec| spec.categories.contains(category)).collect();
            call.reply(|reply| {
                reply.array(specs.len());
                specs.iter().for_each(|spec| reply.bulk(spec.name));
            })
        }
        _ => wrong_number(call),
    }
}

fn wrong_number(call: &Call<'_>) -> Flow {
    let name = call.arg(1);
    let text = b"ERR unknown subcommand or wrong number of arguments for '";
    call.error([&text[..], name, b"'. Try ACL HELP."].concat())
}

pub(super) fn genpass(call: &Call<'_>) -> Flow {
    let bits = match (call.len(), call.request.get(2).map(parse_integer)) {
        (_, None) => GENPASS_BITS,
        (3, Some(Some(bits @ 1..))) if bits as usize <= GENPASS_BITS_MAX => bits as usize,
        (3, Some(Some(_))) => {
            return call.error(format!(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up \
                 to {GENPASS_BITS_MAX}"
            ));
        }
        (3, Some(None)) => return call.error("ERR value is not an integer or out of range"),
        _ => return wrong_number(call),
    };
    // A hexadecimal digit for every four bits begun.
    let mut password = vec![0; bits.div_ceil(4)];
    if let Err(error) = getrandom::fill(&mut password) {
        return call.error(format!("ERR the system gives no randomness: {error}"));
    }
    password.iter_mut().for_each(|byte| *byte = b"0123456789abcdef"[usize::from(*byte & 15)]);
    call.reply(|reply| reply.bulk(password))
}

pub(super) fn log(call: &Call<'_>) -> Flow {
    let node = &call.shard.node;
    let count = match call.len() {
        2 => LOG_ENTRIES,
        3 if call.is(2, "RESET") => {
            node.access.log().reset();
            return call.ok();
        }
        3 => match parse_integer(call.arg(2)) {
            Some(count) => usize::try_from(count).unwrap_or_default(),
            None => return call.error("ERR value is not an integer or out of range"),
        },
        _ => return wrong_number(call),
    };
    let now = node.started.elapsed();
    let entries: Vec<LogEntry> = node.access.log().latest(count).cloned().collect();
    call.reply(|reply| {
        reply.array(entries.len());
        for entry in entries {
            reply.map(7);
            reply.bulk("count");
            reply.integer(entry.count);
            reply.bulk("reason");
            reply.bulk(entry.reason.label());
            reply.bulk("context");
            reply.bulk(entry.context.label());
            reply.bulk("object");
            reply.bulk(entry.object);
            reply.bulk("username");
            reply.bulk(entry.username);
            reply.bulk("age-seconds");
            let age_ms = now.saturating_sub(entry.at).as_millis() as u32;
            reply.double(f64::from(age_ms) / 1000.0);
            reply.bulk("client-info");
            reply.bulk(entry.client);
        }
    })
}

pub(super) fn dryrun(call: &Call<'_>) -> Flow {
    let Some(user) = current(call).get(call.arg(2)).cloned() else {
        return call.error([b"ERR User '", call.arg(2), b"' not found"].concat());
    };
    let (len, arg) = (call.len() - 3, |at: usize| call.arg(at + 3));
    let spec = command::find(arg(0)).and_then(|spec| match spec.subcommands {
        [_, ..] if len > 1 => spec.subcommand(arg(1)),
        _ => Some(spec),
    });
    let Some(spec) = spec else {
        return call.error([b"ERR Command '", arg(0), b"' not found"].concat());
    };
    if !spec.accepts(len) {
        return call.error(format!("ERR wrong number of arguments for '{}' command", spec.name));
    }
    match user.check(spec, len, arg) {
        Ok(()) => call.ok(),
        Err(denied) => {
            let (what, name) = match denied {
                Denied::Command => ("run", spec.name.as_bytes()),
                Denied::Channel(at) => ("access", arg(at)),
            };
            let kind = if what == "run" { "command" } else { "channel" };
            let text = format!("This user has no permissions to {what} the '");
            call.reply(|reply| reply.bulk([text.as_bytes(), name, b"' ", kind.as_bytes()].concat()))
        }
    }
}

fn current(call: &Call<'_>) -> Arc<Users> {
    Arc::clone(&call.shard.users.borrow())
}
