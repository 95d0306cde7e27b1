//! The handlers of commands, by what they are about.

mod acl;
mod carillon;
mod client;
mod config;
mod describe;
mod info;
mod process;
mod publish;
mod pubsub;
mod session;
mod subscribe;
mod transaction;

use carillon_proto::command::CommandId as Id;

pub use self::process::cpu_seconds;
pub(super) use client::describe as describe_client;

use super::dispatch::{Call, Flow};
use crate::hub::{ChannelKind, SubscriptionKind as Kind};

/// Runs a command whose number of arguments is right.
pub(super) fn run(call: &Call<'_>, id: Id) -> Flow {
    match id {
        Id::Publish => publish::publish(call, ChannelKind::Channel),
        Id::Spublish => publish::publish(call, ChannelKind::Shard),
        Id::Subscribe => subscribe::subscribe(call, Kind::Channel),
        Id::Psubscribe => subscribe::subscribe(call, Kind::Pattern),
        Id::Ssubscribe => subscribe::subscribe(call, Kind::ShardChannel),
        Id::Unsubscribe => subscribe::unsubscribe(call, Kind::Channel),
        Id::Punsubscribe => subscribe::unsubscribe(call, Kind::Pattern),
        Id::Sunsubscribe => subscribe::unsubscribe(call, Kind::ShardChannel),
        Id::PubsubChannels => pubsub::channels(call, Kind::Channel),
        Id::PubsubShardchannels => pubsub::channels(call, Kind::ShardChannel),
        Id::PubsubNumsub => pubsub::numsub(call, Kind::Channel),
        Id::PubsubShardnumsub => pubsub::numsub(call, Kind::ShardChannel),
        Id::PubsubNumpat => pubsub::numpat(call),
        Id::Ping => session::ping(call),
        Id::Echo => call.reply(|reply| reply.bulk(call.arg(1))),
        Id::Hello => session::hello(call),
        Id::Auth => session::auth(call),
        Id::AclCat => acl::cat(call),
        Id::AclDeluser => acl::deluser(call),
        Id::AclDryrun => acl::dryrun(call),
        Id::AclGenpass => acl::genpass(call),
        Id::AclGetuser => acl::getuser(call),
        Id::AclList => acl::list(call),
        Id::AclLoad => acl::load(call),
        Id::AclLog => acl::log(call),
        Id::AclSave => acl::save(call),
        Id::AclSetuser => acl::setuser(call),
        Id::AclUsers => acl::users(call),
        Id::AclWhoami => acl::whoami(call),
        Id::CarillonSubscribe => carillon::subscribe(call),
        Id::Select => session::select(call),
        Id::Quit => session::quit(call),
        Id::Reset => session::reset(call),
        Id::ClientId => call.reply(|reply| reply.integer(call.connection.id)),
        Id::ClientGetname => client::getname(call),
        Id::ClientSetname => client::setname(call),
        Id::ClientSetinfo => client::setinfo(call),
        Id::ClientInfo => client::info(call),
        Id::ClientList => client::list(call),
        Id::ClientKill => client::kill(call),
        Id::ClientNoEvict | Id::ClientNoTouch => client::on_or_off(call),
        Id::ClientPause => client::pause(call),
        Id::ClientUnpause => client::unpause(call),
        Id::ClientReply => client::reply(call),
        Id::Info => info::info(call),
        Id::Time => info::time(call),
        Id::Role => info::role(call),
        Id::Command | Id::CommandInfo => describe::info(call),
        Id::CommandCount => describe::count(call),
        Id::CommandDocs => describe::docs(call),
        Id::CommandList => describe::list(call),
        Id::CommandGetkeys => describe::getkeys(call),
        Id::ConfigGet => config::get(call),
        Id::ConfigSet => config::set(call),
        Id::ConfigResetstat => config::resetstat(call),
        Id::Multi => transaction::multi(call),
        Id::Exec => transaction::exec(call),
        Id::Discard => transaction::discard(call),
        Id::Watch => transaction::watch(call),
        Id::Monitor => session::monitor(call),
        Id::Shutdown => session::shutdown(call),
        Id::Flushall | Id::Flushdb => session::flush(call, 1, "ERR syntax error"),
        Id::ScriptFlush => session::flush(call, 2, "ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        Id::FunctionFlush => session::flush(call, 2, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        Id::AclHelp | Id::ClientHelp | Id::CommandHelp | Id::ConfigHelp | Id::PubsubHelp => {
            describe::help(call)
        }
        Id::Unwatch => call.ok(),
        // Their arity demands a subcommand, so they never get here themselves.
        Id::Acl | Id::Carillon | Id::Client | Id::Config | Id::Function | Id::Pubsub | Id::Script => {
            call.error("ERR syntax error")
        }
    }
}

/// Appends `bytes` in double quotes, with escapes for what is not printable.
pub(super) fn quote(line: &mut Vec<u8>, bytes: &[u8]) {
    line.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x07 => line.extend_from_slice(b"\\a"),
            0x08 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}
