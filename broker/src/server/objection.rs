//! Why a command is not run although there is such a one.

use carillon_proto::{
    command::{CommandId, CommandSpec, Flags},
    resp::Protocol,
};

use super::{access, dispatch::Call};
use crate::acl::Denied;

/// Why a command may not be run in the connection's present state.
pub(super) enum Objection {
    NotAuthenticated,
    InTransaction,
    Denied(Denied),
    Subscribed,
}

impl Objection {
    /// What the client is told.
    pub(super) fn text(&self, spec: &CommandSpec) -> String {
        match self {
            Self::NotAuthenticated => "NOAUTH Authentication required.".into(),
            Self::InTransaction => "ERR Command not allowed inside a transaction".into(),
            Self::Denied(denied) => denied.text(spec),
            Self::Subscribed => format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                spec.name
            ),
        }
    }
}

/// Why the connection's user may not run a command. Users without restrictions cost this one branch.
pub(super) fn denial(call: &Call<'_>, spec: &CommandSpec) -> Option<Denied> {
    if call.connection.is_unchecked.get() {
        return None;
    }
    let session = call.connection.session.borrow();
    session.user.check(spec, call.len(), |at| call.arg(at)).err()
}

/// Why a command may not be run, in Redis's order.
pub(super) fn objection(call: &Call<'_>, spec: &CommandSpec) -> Option<Objection> {
    if !spec.flags.contains(Flags::NO_AUTH) && access::needs_auth(call.shard, call.connection) {
        return Some(Objection::NotAuthenticated);
    }
    let session = call.connection.session.borrow();
    if spec.flags.contains(Flags::NO_MULTI) && session.transaction.is_some() {
        return Some(Objection::InTransaction);
    }
    if let Some(denied) = denial(call, spec) {
        return Some(Objection::Denied(denied));
    }
    let is_refused = !allowed_while_subscribed(spec.id)
        && session.protocol == Protocol::Resp2
        && call.shard.hub.borrow().counts(call.connection.seat).any();
    is_refused.then_some(Objection::Subscribed)
}

fn allowed_while_subscribed(id: CommandId) -> bool {
    matches!(
        id,
        CommandId::Subscribe
            | CommandId::Psubscribe
            | CommandId::Ssubscribe
            | CommandId::Unsubscribe
            | CommandId::Punsubscribe
            | CommandId::Sunsubscribe
            | CommandId::Ping
            | CommandId::Quit
            | CommandId::Reset
    )
}
