//! What clients may take of a node. Every bound is a setting; its default and the reason for it are told there.

use super::{live::Setting, machine};
use crate::config::Settings;

/// Bounds that hold for every client, or for all of them together. 0 means no bound unless said otherwise.
#[derive(Debug, Default)]
pub struct Limits {
    /// Connections from one address at a time; Unix sockets are not counted.
    pub clients_per_address: Setting,
    /// New connections taken in a second; more of them wait in the kernel's queue.
    pub accepts_per_s: Setting,
    /// Seconds to authenticate.
    pub auth_s: Setting,
    /// Bytes that may be sent before that.
    pub unauthenticated_input_bytes: Setting,
    /// Bytes that may wait for the client before that.
    pub unauthenticated_output_bytes: Setting,
    /// Bytes that all clients together may make the node hold: messages and replies they have not read, requests that
    /// are not complete, queued transactions, subscriptions. Above it the client that holds most is closed.
    pub clients_bytes: Setting,
    /// Subscriptions of one client.
    pub subscriptions: Setting,
    /// Patterns of one client.
    pub patterns: Setting,
    /// Bytes of a channel's name.
    pub channel_bytes: Setting,
    /// Bytes of a pattern.
    pub pattern_bytes: Setting,
    /// Bytes of the commands that one client has queued since MULTI; 0 allows none.
    pub transaction_bytes: Setting,
    /// Clients that may be in MONITOR at a time; 0 allows none.
    pub monitors: Setting,
}

impl Limits {
    /// Hands the settings to those who use them.
    pub(super) fn publish(&self, settings: &Settings) {
        self.clients_per_address.set(settings.clients_per_address_max);
        self.accepts_per_s.set(settings.accepts_per_s_max);
        self.auth_s.set(settings.auth_timeout_s);
        self.unauthenticated_input_bytes.set(settings.unauthenticated_input_bytes_max);
        self.unauthenticated_output_bytes.set(settings.unauthenticated_output_bytes_max);
        self.clients_bytes.set(machine::clients_bytes_max(settings.clients_bytes_max));
        self.subscriptions.set(settings.subscriptions_max);
        self.patterns.set(settings.patterns_max);
        self.channel_bytes.set(settings.channel_bytes_max);
        self.pattern_bytes.set(settings.pattern_bytes_max);
        self.transaction_bytes.set(settings.transaction_bytes_max);
        self.monitors.set(settings.monitors_max);
    }
}
