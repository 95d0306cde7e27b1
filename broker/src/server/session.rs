//! What a connection has said about itself.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use carillon_proto::resp::{OwnedRequest, Protocol};

use super::holdings::Held;
use crate::acl::User;

/// The state of one client between its commands.
#[derive(Debug)]
pub(crate) struct Session {
    /// Who it is: the default user until it says otherwise.
    pub(crate) user: Arc<User>,
    /// It has said who it is, or did not have to when it began.
    pub(crate) is_authenticated: bool,
    /// It is the program that the node runs in: no user's rights are its, and none are taken from it.
    pub(crate) is_owner: bool,
    pub(crate) name: Vec<u8>,
    pub(crate) lib_name: Vec<u8>,
    pub(crate) lib_ver: Vec<u8>,
    pub(crate) protocol: Protocol,
    pub(crate) database: u8,
    pub(crate) replies: Replies,
    /// Commands queued since MULTI.
    pub(crate) transaction: Option<Transaction>,
    /// Commands of EXEC that are still to be run, before anything else.
    pub(crate) executing: Option<Executing>,
    pub(crate) is_monitor: bool,
    pub(crate) connected: Instant,
    pub(crate) last_active: Instant,
    pub(crate) last_command: &'static str,
}

/// Whether the client wants replies: CLIENT REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// The command that is running said SKIP: the next one is not answered.
    SkipNext,
    /// The command that is running is not answered.
    Skipping,
}

/// Commands since MULTI.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) queued: Vec<OwnedRequest>,
    pub(crate) held: Held,
    /// A command could not be queued: EXEC will refuse.
    pub(crate) has_failed: bool,
}

impl Transaction {
    pub(crate) fn new(held: Held) -> Self {
        Self { queued: Vec::new(), held, has_failed: false }
    }
}

/// Commands of EXEC.
#[derive(Debug)]
pub(crate) struct Executing {
    pub(crate) left: VecDeque<OwnedRequest>,
    pub(crate) held: Held,
}

impl Session {
    /// A session of the default user, as it begins.
    pub(crate) fn new(now: Instant, default: &Arc<User>) -> Self {
        Self {
            user: Arc::clone(default),
            is_authenticated: default.is_open(),
            is_owner: false,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            protocol: Protocol::Resp2,
            database: 0,
            replies: Replies::On,
            transaction: None,
            executing: None,
            is_monitor: false,
            connected: now,
            last_active: now,
            last_command: "NULL",
        }
    }

    /// Whether the command that is running is answered.
    pub(crate) fn wants_reply(&self) -> bool {
        matches!(self.replies, Replies::On | Replies::SkipNext)
    }

    /// The next command of EXEC.
    pub(crate) fn next_executing(&mut self) -> Option<OwnedRequest> {
        let next = self.executing.as_mut()?.left.pop_front();
        if next.is_none() {
            self.executing = None;
        }
        next
    }

    /// Steps CLIENT REPLY SKIP on, when a command is done.
    pub(crate) fn command_done(&mut self) {
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skipping,
            Replies::Skipping => Replies::On,
            other => other,
        };
    }
}
