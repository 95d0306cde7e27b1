//! Why connections end.

use std::io;

/// Makes the enum, its list and its words from one table.
macro_rules! reasons {
    ($($variant:ident $label:literal [$($setting:literal)*] $meaning:literal)*) => {
        /// The reason for which a connection was closed: one word for the log, the statistics and the documentation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CloseReason {
            $(#[doc = $meaning] $variant,)*
        }

        impl CloseReason {
            /// Every reason, in the order of [`index`](Self::index).
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// The reason in one word.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// What has happened to the client.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// The settings that decide about it.
            pub fn settings(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($setting),*],)* }
            }
        }
    };
}

reasons! {
    Quit "quit" []
        "It said QUIT."
    PeerClosed "peer_closed" []
        "It closed its side."
    PeerReset "peer_reset" []
        "Its host reset the connection, or the network reported it broken."
    PeerSilent "peer_silent" ["tcp-keepalive-s" "tcp-user-timeout-ms"]
        "Its host answered no probe or acknowledged nothing, or it took nothing of what waited for it."
    ProtocolError "protocol_error" ["payload-bytes-max"]
        "What it sent is not RESP, or declares a length that is not allowed. It was answered with the error."
    HttpRequest "http_request" []
        "It spoke HTTP: a browser was lured into sending commands. None was run."
    Killed "killed" []
        "CLIENT KILL named it."
    OutboxHardLimit "outbox_hard_limit" ["outbox-bytes-max"]
        "It reads too slowly: more waited for it than may. What waited is lost to it."
    OutboxSoftLimit "outbox_soft_limit" ["outbox-soft-bytes" "outbox-soft-s"]
        "It reads too slowly: much waited for it for too long. What waited is lost to it."
    Idle "idle" ["client-idle-s"]
        "It said nothing for as long as may be, and subscribes to nothing."
    MemoryBudget "memory_budget" ["clients-bytes-max"]
        "All clients together made the node hold too much, and it most of that."
    SubscriptionLimit "subscription_limit" ["subscriptions-max" "patterns-max"]
        "It subscribed to more than one client may."
    NameTooLong "name_too_long" ["channel-bytes-max" "pattern-bytes-max"]
        "It used a channel or a pattern that is longer than may be."
    TooManyClients "too_many_clients" ["clients-max"]
        "It was not taken: the node had as many clients as it may have."
    AddressLimit "address_limit" ["clients-per-address-max"]
        "It was not taken: its address had as many connections as it may have."
    NoDescriptors "no_descriptors" []
        "It was not taken: the process had as many files open as the system lets it."
    Panic "panic" []
        "A command of it met a fault in Carillon, which is told in the log. The others go on."
    Shutdown "shutdown" ["drain-ms"]
        "The node stops or drains."
    Fenced "fenced" ["lease-ms"]
        "The node lost touch with its cluster, and could no longer promise to deliver everything."
    UserRemoved "user_removed" ["acl-file"]
        "Its user was removed, by ACL DELUSER or a file of users."
    AccessRevoked "access_revoked" ["acl-file"]
        "It was subscribed to what its user may not hear any more."
    AuthTimeout "auth_timeout" ["auth-timeout-s"]
        "It did not show its password in time."
    UnauthenticatedInput "unauthenticated_input" ["unauthenticated-input-bytes-max"]
        "It sent too much before it showed its password."
    UnauthenticatedOutput "unauthenticated_output" ["unauthenticated-output-bytes-max"]
        "It did not read what it was answered before it showed its password."
    TlsError "tls_error" ["tls-ca-file" "tls-client-auth"]
        "Its TLS was wrong: its certificate, its versions, or it spoke none."
    TlsTimeout "tls_timeout" []
        "It did not finish the handshake of TLS within ten seconds."
}

impl CloseReason {
    /// The reason's place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// What an error of the socket says about the peer.
    pub fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => Self::PeerSilent,
            // Of what a socket can say, only TLS says this.
            io::ErrorKind::InvalidData => Self::TlsError,
            _ => Self::PeerReset,
        }
    }

    /// Whether what waits for the client is still sent before its connection ends.
    pub fn answers_first(self) -> bool {
        matches!(
            self,
            Self::Quit
                | Self::PeerClosed
                | Self::ProtocolError
                | Self::Shutdown
                | Self::Killed
                | Self::UserRemoved
                | Self::AccessRevoked
        )
    }

    /// Whether it is news for an operator rather than everyday life.
    pub fn is_notable(self) -> bool {
        !matches!(self, Self::Quit | Self::PeerClosed | Self::Shutdown)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::CloseReason;
    use crate::{config, pages};

    const PAGE_HEAD: &str = "\
# Why connections are closed

A connection that a node closes, or does not take, is counted in `carillon_connections_closed_total` under one of these
reasons, and told in the log with its client's address and name as `reason=...` (a refusal at the first, second,
fourth, eighth, ... time; `quit`, `peer_closed` and `shutdown` at the level `debug`). INFO's section `stats` counts them
as `closed_...`, and the console shows the latest. [The settings](SETTINGS.md) that decide can be changed while the
node runs if they say so.

This page is made from the table in `src/server/close.rs`: change it there.

| reason | what has happened to the client | settings |
|---|---|---|
";

    /// The page about all reasons, in Markdown.
    fn reference() -> String {
        let mut page = PAGE_HEAD.to_owned();
        for reason in CloseReason::ALL {
            let settings: Vec<_> = reason.settings().iter().map(|name| format!("`--{name}`")).collect();
            // Writing to a string cannot fail.
            let _ =
                writeln!(page, "| `{}` | {} | {} |", reason.label(), reason.meaning(), settings.join(", "));
        }
        page
    }

    #[test]
    fn what_is_written_about_the_reasons_is_what_their_table_says() {
        pages::assert_is("broker/CLOSES.md", &reference());
    }

    #[test]
    fn reasons_name_settings_that_there_are() {
        for reason in CloseReason::ALL {
            for name in reason.settings() {
                assert!(config::row(name).is_some(), "{}: {name}", reason.label());
            }
        }
    }
}
