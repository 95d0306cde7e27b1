//! Why connections end.

use std::io;

/// The reason for which a connection was closed: one word for the log, the statistics and the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client said QUIT.
    Quit,
    /// The client closed its side.
    PeerClosed,
    /// The client's host reset the connection, or the network reported it broken.
    PeerReset,
    /// The client's host did not answer keep-alive probes or did not acknowledge data in time, or the client took nothing of
    /// what waited for it for as long.
    PeerSilent,
    /// What the client sent is not RESP.
    ProtocolError,
    /// The client spoke HTTP: a browser that was lured into sending commands.
    HttpRequest,
    /// CLIENT KILL.
    Killed,
    /// The client reads too slowly: its outbox passed the hard limit.
    OutboxHardLimit,
    /// The client reads too slowly: its outbox stayed above the soft limit for too long.
    OutboxSoftLimit,
    /// The client said nothing for as long as the setting `timeout` allows.
    Idle,
    /// All clients together make the node hold too much, and this one most of it.
    MemoryBudget,
    /// The client subscribes to more than one client may.
    SubscriptionLimit,
    /// The name of a channel or a pattern is longer than it may be.
    NameTooLong,
    /// The node has as many clients as it may have.
    TooManyClients,
    /// The client's address has as many connections as it may have.
    AddressLimit,
    /// The process has as many files open as it may have.
    NoDescriptors,
    /// A command met a fault in the node. The others go on.
    Panic,
    /// The node stops.
    Shutdown,
    /// The node has lost touch with its cluster and can no longer promise to deliver everything.
    Fenced,
    /// The client's user was removed.
    UserRemoved,
    /// The client is subscribed to something that its user may not hear any more.
    AccessRevoked,
    /// The client did not show its password in time.
    AuthTimeout,
    /// The client sent too much before it showed its password.
    UnauthenticatedInput,
    /// The client did not read what it was answered before it showed its password.
    UnauthenticatedOutput,
    /// The client's TLS is wrong: its certificate, its versions, or it speaks none.
    TlsError,
    /// The client did not finish the handshake of TLS in time.
    TlsTimeout,
}

impl CloseReason {
    /// Every reason, in the order of [`index`](Self::index).
    pub const ALL: [Self; 26] = [
        Self::Quit,
        Self::PeerClosed,
        Self::PeerReset,
        Self::PeerSilent,
        Self::ProtocolError,
        Self::HttpRequest,
        Self::Killed,
        Self::OutboxHardLimit,
        Self::OutboxSoftLimit,
        Self::Idle,
        Self::MemoryBudget,
        Self::SubscriptionLimit,
        Self::NameTooLong,
        Self::TooManyClients,
        Self::AddressLimit,
        Self::NoDescriptors,
        Self::Panic,
        Self::Shutdown,
        Self::Fenced,
        Self::UserRemoved,
        Self::AccessRevoked,
        Self::AuthTimeout,
        Self::UnauthenticatedInput,
        Self::UnauthenticatedOutput,
        Self::TlsError,
        Self::TlsTimeout,
    ];

    /// The reason's place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// The reason in one word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::PeerClosed => "peer_closed",
            Self::PeerReset => "peer_reset",
            Self::PeerSilent => "peer_silent",
            Self::ProtocolError => "protocol_error",
            Self::HttpRequest => "http_request",
            Self::Killed => "killed",
            Self::OutboxHardLimit => "outbox_hard_limit",
            Self::OutboxSoftLimit => "outbox_soft_limit",
            Self::Idle => "idle",
            Self::MemoryBudget => "memory_budget",
            Self::SubscriptionLimit => "subscription_limit",
            Self::NameTooLong => "name_too_long",
            Self::TooManyClients => "too_many_clients",
            Self::AddressLimit => "address_limit",
            Self::NoDescriptors => "no_descriptors",
            Self::Panic => "panic",
            Self::Shutdown => "shutdown",
            Self::Fenced => "fenced",
            Self::UserRemoved => "user_removed",
            Self::AccessRevoked => "access_revoked",
            Self::AuthTimeout => "auth_timeout",
            Self::UnauthenticatedInput => "unauthenticated_input",
            Self::UnauthenticatedOutput => "unauthenticated_output",
            Self::TlsError => "tls_error",
            Self::TlsTimeout => "tls_timeout",
        }
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
    use super::CloseReason;

    #[test]
    fn every_reason_is_in_its_place() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index, "{}", reason.label());
        }
    }
}
