//! The table itself.

use super::{
    Categories as C, Channels, CommandSpec, Flags as F,
    subcommands::{ACL, CARILLON, CLIENT, COMMAND, CONFIG, FUNCTION, PUBSUB, SCRIPT},
};

macro_rules! ids {
    ($($id:ident),+ $(,)?) => {
        /// Every command and subcommand that has a handler.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CommandId {
            $(#[doc = concat!("`", stringify!($id), "`")] $id,)+
        }

        impl CommandId {
            /// Number of commands and subcommands.
            pub const COUNT: usize = [$(Self::$id),+].len();
        }
    };
}

ids! {
    Acl, AclCat, AclDeluser, AclDryrun, AclGenpass, AclGetuser, AclHelp, AclList, AclLoad, AclLog, AclSave,
    AclSetuser, AclUsers, AclWhoami, Auth, Carillon, CarillonSubscribe, Client, ClientGetname, ClientHelp, ClientId, ClientInfo, ClientKill, ClientList, ClientNoEvict,
    ClientNoTouch, ClientPause, ClientReply, ClientSetinfo, ClientSetname, ClientUnpause, Command, CommandCount,
    CommandDocs, CommandGetkeys, CommandHelp, CommandInfo, CommandList, Config, ConfigGet, ConfigHelp,
    ConfigResetstat, ConfigSet, Discard, Echo, Exec, Flushall, Flushdb, Function, FunctionFlush, Hello, Info,
    Monitor, Multi, Ping, Psubscribe, Publish, Pubsub, PubsubChannels, PubsubHelp, PubsubNumpat, PubsubNumsub,
    PubsubShardchannels, PubsubShardnumsub, Punsubscribe, Quit, Reset, Role, Script, ScriptFlush, Select,
    Shutdown, Spublish, Ssubscribe, Subscribe, Sunsubscribe, Time, Unsubscribe, Unwatch, Watch,
}

/// The command called `name`, in any case.
pub fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    // The table is sorted by name; a name too long for it is in no row.
    let mut lower = [0; NAME_LEN_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let at = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(lower)).ok()?;
    Some(&COMMANDS[at])
}

/// The command or subcommand of this full name, such as `client|list`, in any case.
pub fn find_full(name: &[u8]) -> Option<&'static CommandSpec> {
    match name.iter().position(|byte| *byte == b'|') {
        None => find(name),
        Some(bar) => find(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

/// Every command, each followed by its subcommands.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

/// Number of commands, subcommands not counted: COMMAND COUNT.
pub fn count() -> usize {
    COMMANDS.len()
}

const NAME_LEN_MAX: usize = 16;

pub(super) const ALWAYS: F = F::LOADING.and(F::STALE);
pub(super) const SESSION: F = ALWAYS.and(F::NOSCRIPT);
const HANDSHAKE: F = SESSION.and(F::FAST).and(F::NO_AUTH).and(F::ALLOW_BUSY);
const TRANSACTION: F = SESSION.and(F::FAST).and(F::ALLOW_BUSY);
pub(super) const OPERATOR: F = SESSION.and(F::ADMIN);
pub(super) const SUBSCRIBING: F = SESSION.and(F::PUBSUB);
const PUBLISHING: F = ALWAYS.and(F::PUBSUB).and(F::FAST);
pub(super) const ASKING: F = ALWAYS.and(F::PUBSUB);

pub(super) const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
pub(super) const VARYING: &[&str] = &["nondeterministic_output"];
pub(super) const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
pub(super) const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const fn row(id: CommandId, name: &'static str, arity: i8, flags: F) -> CommandSpec {
    CommandSpec::new(id, name, arity, flags)
}

/// Every command, sorted by name.
pub static COMMANDS: &[CommandSpec] = &[
    row(CommandId::Acl, "acl", -2, F::NONE)
        .doc("server", "6.0.0", "Commands about users and what they may do.")
        .cost("Depends on subcommand.")
        .with_subcommands(ACL),
    row(CommandId::Auth, "auth", -2, HANDSHAKE).in_categories(C::CONNECTION).doc(
        "connection",
        "1.0.0",
        "Authenticates the connection with a password, or a user and a password.",
    ),
    row(CommandId::Carillon, "carillon", -2, F::NONE)
        .doc("pubsub", "7.2.0", "Commands that Redis does not have.")
        .cost("Depends on subcommand.")
        .with_subcommands(CARILLON),
    row(CommandId::Client, "client", -2, F::NONE)
        .doc("connection", "2.4.0", "Commands about the connections of this node.")
        .cost("Depends on subcommand.")
        .with_subcommands(CLIENT),
    row(CommandId::Command, "command", -1, ALWAYS)
        .in_categories(C::CONNECTION)
        .doc("server", "2.8.13", "Describes every command that the node understands.")
        .cost("O(N), N commands")
        .with_tips(ANY_ORDER)
        .with_subcommands(COMMAND),
    row(CommandId::Config, "config", -2, F::NONE)
        .doc("server", "2.0.0", "Commands about the node's settings.")
        .cost("Depends on subcommand.")
        .with_subcommands(CONFIG),
    row(CommandId::Discard, "discard", 1, TRANSACTION)
        .in_categories(C::TRANSACTION)
        .doc("transactions", "2.0.0", "Forgets the commands queued since MULTI.")
        .cost("O(N), N queued commands"),
    row(CommandId::Echo, "echo", 2, ALWAYS.and(F::FAST)).in_categories(C::CONNECTION).doc(
        "connection",
        "1.0.0",
        "Answers with its argument.",
    ),
    row(CommandId::Exec, "exec", 1, SESSION.and(F::SKIP_SLOWLOG))
        .in_categories(C::TRANSACTION)
        .doc("transactions", "1.2.0", "Runs the commands queued since MULTI, one after the other.")
        .cost("Depends on the queued commands."),
    row(CommandId::Flushall, "flushall", -1, F::WRITE)
        .in_categories(C::KEYSPACE.and(C::DANGEROUS))
        .doc("server", "1.0.0", "Answers OK: a broker holds no keys to remove.")
        .with_tips(ALL_SHARDS),
    row(CommandId::Flushdb, "flushdb", -1, F::WRITE)
        .in_categories(C::KEYSPACE.and(C::DANGEROUS))
        .doc("server", "1.0.0", "Answers OK: a broker holds no keys to remove.")
        .with_tips(ALL_SHARDS),
    row(CommandId::Function, "function", -2, F::NONE)
        .doc("scripting", "7.0.0", "Commands about functions, of which a broker has none.")
        .cost("Depends on subcommand.")
        .with_subcommands(FUNCTION),
    row(CommandId::Hello, "hello", -1, HANDSHAKE).in_categories(C::CONNECTION).doc(
        "connection",
        "6.0.0",
        "Chooses the protocol version; authenticates and names the connection.",
    ),
    row(CommandId::Info, "info", -1, ALWAYS)
        .in_categories(C::DANGEROUS)
        .doc("server", "1.0.0", "Tells the node's state and statistics.")
        .with_tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    row(CommandId::Monitor, "monitor", 1, OPERATOR).doc(
        "server",
        "1.0.0",
        "Streams every command that this node runs.",
    ),
    row(CommandId::Multi, "multi", 1, TRANSACTION).in_categories(C::TRANSACTION).doc(
        "transactions",
        "1.2.0",
        "Starts queueing commands for EXEC.",
    ),
    row(CommandId::Ping, "ping", -1, F::FAST)
        .in_categories(C::CONNECTION)
        .doc("connection", "1.0.0", "Answers PONG, or its argument.")
        .with_tips(ALL_SHARDS),
    row(CommandId::Psubscribe, "psubscribe", -2, SUBSCRIBING)
        .doc("pubsub", "2.0.0", "Subscribes to every channel whose name matches a pattern.")
        .cost("O(N), N patterns given")
        .with_channels(Channels::AllPatterns),
    row(CommandId::Publish, "publish", 3, PUBLISHING)
        .doc("pubsub", "2.0.0", "Sends a message to the subscribers of a channel and tells their number.")
        .cost("O(N+M), N subscribers of the channel, M patterns subscribed to")
        .with_channels(Channels::First),
    row(CommandId::Pubsub, "pubsub", -2, F::NONE)
        .doc("pubsub", "2.8.0", "Commands that tell who is subscribed to what.")
        .cost("Depends on subcommand.")
        .with_subcommands(PUBSUB),
    row(CommandId::Punsubscribe, "punsubscribe", -1, SUBSCRIBING)
        .doc("pubsub", "2.0.0", "Ends subscriptions to patterns, or to all of them.")
        .cost("O(N), N patterns"),
    row(CommandId::Quit, "quit", -1, HANDSHAKE).in_categories(C::CONNECTION).doc(
        "connection",
        "1.0.0",
        "Closes the connection once everything before it is answered.",
    ),
    row(CommandId::Reset, "reset", 1, HANDSHAKE).in_categories(C::CONNECTION).doc(
        "connection",
        "6.2.0",
        "Puts the connection back into the state of a new one.",
    ),
    row(CommandId::Role, "role", 1, SESSION.and(F::FAST)).in_categories(C::ADMIN.and(C::DANGEROUS)).doc(
        "server",
        "2.8.12",
        "Answers master: every node takes every publish.",
    ),
    row(CommandId::Script, "script", -2, F::NONE)
        .doc("scripting", "2.6.0", "Commands about scripts, of which a broker has none.")
        .cost("Depends on subcommand.")
        .with_subcommands(SCRIPT),
    row(CommandId::Select, "select", 2, ALWAYS.and(F::FAST)).in_categories(C::CONNECTION).doc(
        "connection",
        "1.0.0",
        "Accepted for clients with a database number; channels are in none.",
    ),
    row(CommandId::Shutdown, "shutdown", -1, OPERATOR.and(F::NO_MULTI).and(F::ALLOW_BUSY)).doc(
        "server",
        "1.0.0",
        "Stops the node gracefully.",
    ),
    row(CommandId::Spublish, "spublish", 3, PUBLISHING)
        .doc(
            "pubsub",
            "7.0.0",
            "Sends a message to the subscribers of a shard channel and tells their number.",
        )
        .cost("O(N), N subscribers of the shard channel")
        .with_keys(1, 1, true)
        .with_channels(Channels::First),
    row(CommandId::Ssubscribe, "ssubscribe", -2, SUBSCRIBING)
        .doc("pubsub", "7.0.0", "Subscribes to shard channels.")
        .cost("O(N), N shard channels given")
        .with_keys(1, -1, true)
        .with_channels(Channels::All),
    row(CommandId::Subscribe, "subscribe", -2, SUBSCRIBING)
        .doc("pubsub", "2.0.0", "Subscribes to channels.")
        .cost("O(N), N channels given")
        .with_channels(Channels::All),
    row(CommandId::Sunsubscribe, "sunsubscribe", -1, SUBSCRIBING)
        .doc("pubsub", "7.0.0", "Ends subscriptions to shard channels, or to all of them.")
        .cost("O(N), N shard channels")
        .with_keys(1, -1, true),
    row(CommandId::Time, "time", 1, ALWAYS.and(F::FAST))
        .doc("server", "2.6.0", "Tells the node's time in seconds and microseconds.")
        .with_tips(VARYING),
    row(CommandId::Unsubscribe, "unsubscribe", -1, SUBSCRIBING)
        .doc("pubsub", "2.0.0", "Ends subscriptions to channels, or to all of them.")
        .cost("O(N), N channels"),
    row(CommandId::Unwatch, "unwatch", 1, TRANSACTION).in_categories(C::TRANSACTION).doc(
        "transactions",
        "2.2.0",
        "Answers OK: there are no keys to stop watching.",
    ),
    row(CommandId::Watch, "watch", -2, TRANSACTION)
        .in_categories(C::TRANSACTION)
        .doc("transactions", "2.2.0", "Answers OK: there are no keys that could change.")
        .with_keys(1, -1, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_documented() {
        assert!(COMMANDS.is_sorted_by_key(|spec| spec.name));
        for spec in COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
            assert!(
                !spec.summary.is_empty() && !spec.group.is_empty() && !spec.since.is_empty(),
                "{}",
                spec.name
            );
            assert!(spec.name.len() <= NAME_LEN_MAX || spec.name.contains('|'), "{}", spec.name);
        }
    }

    #[test]
    fn commands_are_found_in_any_case() {
        assert_eq!(find(b"PubLish").map(|spec| spec.id), Some(CommandId::Publish));
        let client = find(b"client").expect("in the table");
        assert_eq!(client.subcommand(b"SETinfo").map(|spec| spec.name), Some("client|setinfo"));
        assert!(find(b"publis").is_none() && find(b"").is_none() && find(&[b'x'; 64]).is_none());
    }
}
