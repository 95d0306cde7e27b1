//! [COMMAND](https://redis.io/docs/latest/commands/command/): the table, told to clients.

use carillon_proto::{
    command::{self, COMMANDS, CommandSpec, Keys},
    resp::Encoder,
};

use crate::{
    hub::Glob,
    server::dispatch::{Call, Flow},
};

/// COMMAND and COMMAND INFO.
pub(super) fn info(call: &Call<'_>) -> Flow {
    call.reply(|reply| {
        if call.len() <= 2 {
            reply.array(COMMANDS.len());
            COMMANDS.iter().for_each(|spec| describe(reply, spec));
            return;
        }
        reply.array(call.len() - 2);
        for name in call.request.args(2) {
            match command::find_full(name) {
                Some(spec) => describe(reply, spec),
                None => reply.null(),
            }
        }
    })
}

pub(super) fn count(call: &Call<'_>) -> Flow {
    call.reply(|reply| reply.integer(command::count()))
}

pub(super) fn docs(call: &Call<'_>) -> Flow {
    let specs: Vec<&CommandSpec> = match call.len() {
        2 => COMMANDS.iter().collect(),
        _ => call.request.args(2).filter_map(command::find_full).collect(),
    };
    call.reply(|reply| document_all(reply, specs))
}

pub(super) fn list(call: &Call<'_>) -> Flow {
    let specs: Vec<&CommandSpec> = if call.len() == 2 {
        COMMANDS.iter().collect()
    } else if call.len() != 5 || !call.is(2, "FILTERBY") {
        return call.error("ERR syntax error");
    } else if call.is(3, "MODULE") {
        Vec::new()
    } else if call.is(3, "ACLCAT") {
        let category = call.arg(4).to_ascii_lowercase();
        command::all()
            .filter(|spec| spec.categories.names().any(|name| name.as_bytes() == category))
            .collect()
    } else if call.is(3, "PATTERN") {
        let glob = Glob::new(&call.arg(4).to_ascii_lowercase());
        command::all().filter(|spec| glob.matches(spec.name.as_bytes())).collect()
    } else {
        return call.error("ERR syntax error");
    };
    call.reply(|reply| {
        reply.array(specs.len());
        specs.iter().for_each(|spec| reply.bulk(spec.name));
    })
}

pub(super) fn getkeys(call: &Call<'_>) -> Flow {
    let len = call.len() - 2;
    let spec = match command::find(call.arg(2)) {
        Some(spec) if spec.subcommands.is_empty() => spec,
        Some(_) => return call.error("ERR The command has no key arguments"),
        None => return call.error("ERR Invalid command specified"),
    };
    let Keys { first, last, only_routes, .. } = spec.keys;
    if first == 0 || only_routes {
        return call.error("ERR The command has no key arguments");
    }
    if !spec.accepts(len) {
        return call.error("ERR Invalid number of arguments specified for command");
    }
    let end = if last < 0 { len } else { last as usize + 1 };
    let keys: Vec<&[u8]> = call.request.args(2).take(end).skip(first as usize).collect();
    call.reply(|reply| {
        reply.array(keys.len());
        keys.iter().for_each(|key| reply.bulk(key));
    })
}

/// HELP of every container, from the table.
pub(super) fn help(call: &Call<'_>) -> Flow {
    let Some(container) = command::find(call.arg(0)) else { return call.error("ERR syntax error") };
    let title = format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.name.to_ascii_uppercase()
    );
    call.reply(|reply| {
        reply.array(1 + container.subcommands.len() * 2);
        reply.simple(&title);
        for spec in container.subcommands {
            let (_, name) = spec.name.split_once('|').unwrap_or_default();
            reply.simple(&name.to_ascii_uppercase());
            reply.simple(&format!("    {}", spec.summary));
        }
    })
}

fn describe(reply: &mut Encoder<'_>, spec: &CommandSpec) {
    reply.array(10);
    reply.bulk(spec.name);
    reply.integer(spec.arity);
    let flags: Vec<&str> = spec.flags.names().collect();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.simple(flag));
    reply.integer(spec.keys.first);
    reply.integer(spec.keys.last);
    reply.integer(spec.keys.step);
    let categories: Vec<&str> = spec.categories.names().collect();
    reply.set(categories.len());
    categories.iter().for_each(|category| reply.simple(&format!("@{category}")));
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip));
    describe_keys(reply, spec.keys);
    reply.set(spec.subcommands.len());
    spec.subcommands.iter().for_each(|subcommand| describe(reply, subcommand));
}

/// Key specifications, the newer form of first, last and step.
fn describe_keys(reply: &mut Encoder<'_>, keys: Keys) {
    if keys.first == 0 {
        return reply.set(0);
    }
    reply.set(1);
    reply.map(3);
    reply.bulk("flags");
    reply.set(1);
    reply.simple(if keys.only_routes { "not_key" } else { "RO" });
    reply.bulk("begin_search");
    reply.map(2);
    reply.bulk("type");
    reply.bulk("index");
    reply.bulk("spec");
    reply.map(1);
    reply.bulk("index");
    reply.integer(keys.first);
    reply.bulk("find_keys");
    reply.map(2);
    reply.bulk("type");
    reply.bulk("range");
    reply.bulk("spec");
    reply.map(3);
    reply.bulk("lastkey");
    // Counted from the first key here.
    reply.integer(if keys.last < 0 { keys.last } else { keys.last - keys.first });
    reply.bulk("keystep");
    reply.integer(keys.step);
    reply.bulk("limit");
    reply.integer(0);
}

fn document_all(reply: &mut Encoder<'_>, specs: Vec<&CommandSpec>) {
    reply.map(specs.len());
    for spec in specs {
        reply.bulk(spec.name);
        document(reply, spec);
    }
}

fn document(reply: &mut Encoder<'_>, spec: &CommandSpec) {
    let has_subcommands = !spec.subcommands.is_empty();
    reply.map(4 + usize::from(has_subcommands));
    let facts = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group),
        ("complexity", spec.complexity),
    ];
    for (name, value) in facts {
        reply.bulk(name);
        reply.bulk(value);
    }
    if has_subcommands {
        reply.bulk("subcommands");
        document_all(reply, spec.subcommands.iter().collect());
    }
}
