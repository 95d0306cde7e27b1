//! The rows of subcommands.

use super::{
    Categories as C, CommandId, CommandSpec, Flags as F,
    table::{ALL_NODES, ALL_SHARDS, ALWAYS, ANY_ORDER, ASKING, OPERATOR, SESSION, SUBSCRIBING, VARYING, row},
};

pub(super) const ACL: &[CommandSpec] = &[
    row(CommandId::AclCat, "acl|cat", -2, SESSION)
        .doc("server", "6.0.0", "Lists the categories of commands, or the commands of one.")
        .cost("O(N), N commands"),
    row(CommandId::AclDeluser, "acl|deluser", -3, OPERATOR)
        .doc("server", "6.0.0", "Removes users and closes their connections.")
        .cost("O(N), N connections")
        .with_tips(ALL_NODES),
    row(CommandId::AclDryrun, "acl|dryrun", -4, OPERATOR).doc(
        "server",
        "7.0.0",
        "Tells whether a user may run a command, without running it.",
    ),
    row(CommandId::AclGenpass, "acl|genpass", -2, SESSION).doc(
        "server",
        "6.0.0",
        "Makes a password that nobody guesses.",
    ),
    row(CommandId::AclGetuser, "acl|getuser", 3, OPERATOR)
        .doc("server", "6.0.0", "Tells what a user may do.")
        .cost("O(N), N rules of the user"),
    row(CommandId::AclHelp, "acl|help", 2, ALWAYS).doc("server", "6.0.0", "Lists the subcommands."),
    row(CommandId::AclList, "acl|list", 2, OPERATOR)
        .doc("server", "6.0.0", "Tells all users, each in the form of a line of an ACL file.")
        .cost("O(N), N users"),
    row(CommandId::AclLoad, "acl|load", 2, OPERATOR)
        .doc("server", "6.0.0", "Reads the users from the ACL file again.")
        .cost("O(N), N users"),
    row(CommandId::AclLog, "acl|log", -2, OPERATOR)
        .doc(
            "server",
            "6.0.0",
            "Tells what was denied to whom on this node, the latest first, or forgets it.",
        )
        .cost("O(N), N entries asked for"),
    row(CommandId::AclSave, "acl|save", 2, OPERATOR)
        .doc("server", "6.0.0", "Writes the users to the ACL file.")
        .cost("O(N), N users")
        .with_tips(ALL_NODES),
    row(CommandId::AclSetuser, "acl|setuser", -3, OPERATOR)
        .doc("server", "6.0.0", "Makes or changes a user.")
        .cost("O(N), N rules given")
        .with_tips(ALL_NODES),
    row(CommandId::AclUsers, "acl|users", 2, OPERATOR)
        .doc("server", "6.0.0", "Lists the names of all users.")
        .cost("O(N), N users"),
    row(CommandId::AclWhoami, "acl|whoami", 2, SESSION).doc(
        "server",
        "6.0.0",
        "Tells the name of the user of this connection.",
    ),
];

pub(super) const CARILLON: &[CommandSpec] =
    &[row(CommandId::CarillonSubscribe, "carillon|subscribe", -5, SUBSCRIBING.and(F::NO_MULTI))
        .doc("pubsub", "7.2.0", "Subscribes, with numbered messages, from where the client was.")
        .cost("O(N), N names given and recent messages looked at")];

pub(super) const CLIENT: &[CommandSpec] = &[
    client(CommandId::ClientGetname, "client|getname", 2, SESSION).doc(
        "connection",
        "2.6.9",
        "Tells the connection's name.",
    ),
    client(CommandId::ClientHelp, "client|help", 2, ALWAYS).doc(
        "connection",
        "5.0.0",
        "Lists the subcommands.",
    ),
    client(CommandId::ClientId, "client|id", 2, SESSION).doc(
        "connection",
        "5.0.0",
        "Tells the connection's number.",
    ),
    client(CommandId::ClientInfo, "client|info", 2, SESSION)
        .doc("connection", "6.2.0", "Describes this connection.")
        .with_tips(VARYING),
    client(CommandId::ClientKill, "client|kill", -3, OPERATOR)
        .doc("connection", "2.4.0", "Closes connections of this node.")
        .cost("O(N), N connections"),
    client(CommandId::ClientList, "client|list", -2, OPERATOR)
        .doc("connection", "2.4.0", "Describes the connections of this node.")
        .cost("O(N), N connections")
        .with_tips(VARYING),
    client(CommandId::ClientNoEvict, "client|no-evict", 3, OPERATOR).doc(
        "connection",
        "7.0.0",
        "Accepted: a node does not evict clients to free memory for keys.",
    ),
    client(CommandId::ClientNoTouch, "client|no-touch", 3, SESSION).doc(
        "connection",
        "7.2.0",
        "Accepted: there are no keys whose last use could be noted.",
    ),
    client(CommandId::ClientPause, "client|pause", -3, OPERATOR).doc(
        "connection",
        "2.9.50",
        "Holds commands back for some milliseconds.",
    ),
    client(CommandId::ClientReply, "client|reply", 3, SESSION).doc(
        "connection",
        "3.2.0",
        "Turns replies off, on, or off for one command.",
    ),
    client(CommandId::ClientSetinfo, "client|setinfo", 4, SESSION).doc(
        "connection",
        "7.2.0",
        "Notes the client library's name and version.",
    ),
    client(CommandId::ClientSetname, "client|setname", 3, SESSION).doc(
        "connection",
        "2.6.9",
        "Names the connection.",
    ),
    client(CommandId::ClientUnpause, "client|unpause", 2, OPERATOR)
        .doc("connection", "6.2.0", "Ends CLIENT PAUSE.")
        .cost("O(N), N paused connections"),
];

const fn client(id: CommandId, name: &'static str, arity: i8, flags: F) -> CommandSpec {
    row(id, name, arity, flags).in_categories(C::CONNECTION)
}

pub(super) const COMMAND: &[CommandSpec] = &[
    command(CommandId::CommandCount, "command|count", 2).doc(
        "server",
        "2.8.13",
        "Tells how many commands there are.",
    ),
    command(CommandId::CommandDocs, "command|docs", -2)
        .doc("server", "7.0.0", "Documents commands.")
        .cost("O(N), N commands asked for")
        .with_tips(ANY_ORDER),
    command(CommandId::CommandGetkeys, "command|getkeys", -3)
        .doc("server", "2.8.13", "Tells which arguments of a command are keys.")
        .cost("O(N), N arguments"),
    command(CommandId::CommandHelp, "command|help", 2).doc("server", "5.0.0", "Lists the subcommands."),
    command(CommandId::CommandInfo, "command|info", -2)
        .doc("server", "2.8.13", "Describes commands.")
        .cost("O(N), N commands asked for")
        .with_tips(ANY_ORDER),
    command(CommandId::CommandList, "command|list", -2)
        .doc("server", "7.0.0", "Lists command names, all or filtered.")
        .cost("O(N), N commands")
        .with_tips(ANY_ORDER),
];

const fn command(id: CommandId, name: &'static str, arity: i8) -> CommandSpec {
    row(id, name, arity, ALWAYS).in_categories(C::CONNECTION)
}

pub(super) const CONFIG: &[CommandSpec] = &[
    row(CommandId::ConfigGet, "config|get", -3, OPERATOR)
        .doc("server", "2.0.0", "Tells settings whose names match patterns.")
        .cost("O(N), N settings"),
    row(CommandId::ConfigHelp, "config|help", 2, ALWAYS).doc("server", "5.0.0", "Lists the subcommands."),
    row(CommandId::ConfigResetstat, "config|resetstat", 2, OPERATOR).doc(
        "server",
        "2.0.0",
        "Sets the counters of INFO back to zero.",
    ),
    row(CommandId::ConfigSet, "config|set", -4, OPERATOR)
        .doc("server", "2.0.0", "Changes settings that can change while the node runs.")
        .cost("O(N), N settings given")
        .with_tips(ALL_NODES),
];

pub(super) const FUNCTION: &[CommandSpec] =
    &[row(CommandId::FunctionFlush, "function|flush", -2, F::WRITE.and(F::NOSCRIPT))
        .in_categories(C::SCRIPTING)
        .doc("scripting", "7.0.0", "Answers OK: there are no functions to remove.")
        .with_tips(ALL_SHARDS)];

pub(super) const PUBSUB: &[CommandSpec] = &[
    row(CommandId::PubsubChannels, "pubsub|channels", -2, ASKING)
        .doc("pubsub", "2.8.0", "Lists the channels that have subscribers.")
        .cost("O(N), N channels"),
    row(CommandId::PubsubHelp, "pubsub|help", 2, ALWAYS).doc("pubsub", "6.2.0", "Lists the subcommands."),
    row(CommandId::PubsubNumpat, "pubsub|numpat", 2, ASKING).doc(
        "pubsub",
        "2.8.0",
        "Tells how many different patterns are subscribed to.",
    ),
    row(CommandId::PubsubNumsub, "pubsub|numsub", -2, ASKING)
        .doc("pubsub", "2.8.0", "Tells the number of subscribers of channels.")
        .cost("O(N), N channels asked for"),
    row(CommandId::PubsubShardchannels, "pubsub|shardchannels", -2, ASKING)
        .doc("pubsub", "7.0.0", "Lists the shard channels that have subscribers.")
        .cost("O(N), N shard channels"),
    row(CommandId::PubsubShardnumsub, "pubsub|shardnumsub", -2, ASKING)
        .doc("pubsub", "7.0.0", "Tells the number of subscribers of shard channels.")
        .cost("O(N), N shard channels asked for"),
];

pub(super) const SCRIPT: &[CommandSpec] = &[row(CommandId::ScriptFlush, "script|flush", -2, F::NOSCRIPT)
    .in_categories(C::SCRIPTING)
    .doc("scripting", "2.6.0", "Answers OK: there are no scripts to remove.")
    .with_tips(ALL_NODES)];
