//! From a request to its handler, with Redis's checks in Redis's order.

use std::{sync::atomic::Ordering, time::Instant};

use carillon_proto::{
    command::{self, CommandId, CommandSpec, Flags},
    resp::{OwnedRequest, Request},
};

use super::{
    CloseReason, Node, Shard, access, cmd,
    connection::{Connection, Deferred},
    objection::{Objection, denial, objection},
    pause::Paused,
    replay::Replay,
};
use crate::hub::{Seat, SubscriptionKind};

/// What a command means for its connection.
pub(crate) enum Flow {
    /// It is answered, or will be in its turn.
    Continue,
    /// Its answer takes other shards.
    Defer(Deferred),
    /// It is answered when the client has got what it has missed.
    Replay(Replay),
    /// It ends the connection.
    Close(CloseReason),
}

/// What a handler works with.
pub(crate) struct Call<'a> {
    pub(crate) shard: &'a std::rc::Rc<Shard>,
    pub(crate) connection: &'a std::rc::Rc<Connection>,
    pub(crate) request: Request<'a>,
    pub(crate) is_queued: bool,
}

impl Call<'_> {
    pub(crate) fn reply(&self, write: impl FnOnce(&mut carillon_proto::resp::Encoder<'_>)) -> Flow {
        self.connection.reply(self.shard, write);
        Flow::Continue
    }

    pub(crate) fn ok(&self) -> Flow {
        self.reply(|reply| reply.simple("OK"))
    }

    pub(crate) fn error(&self, text: impl AsRef<[u8]>) -> Flow {
        self.shard.stats().count_error(text.as_ref());
        self.reply(|reply| reply.error(text))
    }

    pub(crate) fn arg(&self, index: usize) -> &[u8] {
        self.request.arg(index)
    }

    /// Whether the argument at `index` is `word`, in any case.
    pub(crate) fn is(&self, index: usize, word: &str) -> bool {
        self.request.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub(crate) fn len(&self) -> usize {
        self.request.len()
    }
}

/// Whether a request is a PUBLISH or SPUBLISH: the only commands that may be in flight together.
pub(crate) fn is_publish(request: Request<'_>) -> bool {
    let name = request.arg(0);
    name.eq_ignore_ascii_case(b"publish") || name.eq_ignore_ascii_case(b"spublish")
}

/// Runs, queues or refuses a request.
pub(crate) fn run<'a>(
    shard: &'a std::rc::Rc<Shard>,
    connection: &'a std::rc::Rc<Connection>,
    request: Request<'a>,
) -> Flow {
    let call = Call { shard, connection, request, is_queued: false };
    done(connection, admit(&call))
}

/// Runs a request that EXEC has released.
pub(crate) fn run_queued<'a>(
    shard: &'a std::rc::Rc<Shard>,
    connection: &'a std::rc::Rc<Connection>,
    request: Request<'a>,
) -> Flow {
    let call = Call { shard, connection, request, is_queued: true };
    // It was in the table when it was queued, and the table does not change.
    let Ok(spec) = look_up(request) else { return Flow::Continue };
    // What its user may do can have changed since.
    let flow = match denial(&call, spec) {
        Some(denied) => {
            access::note_denied(&call, spec, denied);
            call.error(denied.text_at_exec())
        }
        None => execute(&call, spec),
    };
    done(connection, flow)
}

/// A command is done once it is answered; one that is deferred is not yet.
fn done(connection: &Connection, flow: Flow) -> Flow {
    if !matches!(flow, Flow::Defer(_) | Flow::Replay(_)) {
        connection.session.borrow_mut().command_done();
    }
    flow
}

fn admit(call: &Call<'_>) -> Flow {
    let name = call.arg(0);
    if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
        return Flow::Close(CloseReason::HttpRequest);
    }
    if name.eq_ignore_ascii_case(b"quit") {
        call.ok();
        return Flow::Close(CloseReason::Quit);
    }
    let spec = match look_up(call.request) {
        Ok(spec) => spec,
        Err((spec, text)) => return refuse(call, spec, &text),
    };
    if let Some(objection) = objection(call, spec) {
        if let Objection::Denied(denied) = objection {
            access::note_denied(call, spec, denied);
        }
        return refuse(call, Some(spec), objection.text(spec).as_bytes());
    }
    let in_transaction = call.connection.session.borrow().transaction.is_some();
    let runs_at_once = matches!(
        spec.id,
        CommandId::Exec | CommandId::Discard | CommandId::Multi | CommandId::Watch | CommandId::Reset
    );
    if in_transaction && !runs_at_once {
        return queue(call);
    }
    execute(call, spec)
}

/// Why a request cannot be run: the command, if there is such a one, and the error.
type NotRunnable = (Option<&'static CommandSpec>, Vec<u8>);

/// Whether CLIENT PAUSE keeps a request from being run. As in Redis, what is refused anyway is refused at once.
pub(crate) fn is_held_back<'a>(
    shard: &'a std::rc::Rc<Shard>,
    connection: &'a std::rc::Rc<Connection>,
    request: Request<'a>,
    paused: Paused,
) -> bool {
    let call = Call { shard, connection, request, is_queued: false };
    let Ok(spec) = look_up(request) else { return false };
    if objection(&call, spec).is_some() {
        return false;
    }
    let writes = |spec: &CommandSpec| {
        spec.flags.contains(Flags::WRITE) || matches!(spec.id, CommandId::Publish | CommandId::Spublish)
    };
    let has_queued_writes = || {
        let session = connection.session.borrow();
        let mut queued = session.transaction.iter().flat_map(|transaction| &transaction.queued);
        queued.any(|queued| look_up(queued.as_request()).is_ok_and(writes))
    };
    match paused {
        Paused::Nothing => false,
        Paused::Publishing => writes(spec) || spec.id == CommandId::Exec && has_queued_writes(),
        Paused::Everything => true,
    }
}

fn look_up(request: Request<'_>) -> Result<&'static CommandSpec, NotRunnable> {
    let spec = command::find(request.arg(0)).ok_or_else(|| (None, unknown_command(request)))?;
    let spec = match request.get(1) {
        Some(name) if !spec.subcommands.is_empty() => {
            spec.subcommand(name).ok_or_else(|| (None, unknown_subcommand(spec, name)))?
        }
        _ => spec,
    };
    if spec.accepts(request.len()) {
        Ok(spec)
    } else {
        let text = format!("ERR wrong number of arguments for '{}' command", spec.name);
        Err((Some(spec), text.into_bytes()))
    }
}

/// Characters of unknown names and arguments that an error repeats.
const REPEATED_MAX: usize = 128;

fn unknown_command(request: Request<'_>) -> Vec<u8> {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(repeated(request.arg(0), REPEATED_MAX));
    text.extend_from_slice(b"', with args beginning with: ");
    let mut args = Vec::new();
    for arg in request.args(1) {
        if args.len() >= REPEATED_MAX {
            break;
        }
        let shown = repeated(arg, REPEATED_MAX - args.len());
        args.push(b'\'');
        args.extend_from_slice(shown);
        args.extend_from_slice(b"' ");
    }
    text.append(&mut args);
    text
}

fn unknown_subcommand(spec: &CommandSpec, name: &[u8]) -> Vec<u8> {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(repeated(name, REPEATED_MAX));
    text.extend_from_slice(format!("'. Try {} HELP.", spec.name.to_ascii_uppercase()).as_bytes());
    text
}

/// The start of an argument, up to the zero byte at which Redis's formatting stops.
fn repeated(arg: &[u8], len_max: usize) -> &[u8] {
    let end = arg.iter().take(len_max).position(|byte| *byte == 0).unwrap_or(len_max.min(arg.len()));
    &arg[..end]
}

/// Answers a request that is not run, which also makes a transaction fail.
fn refuse(call: &Call<'_>, spec: Option<&CommandSpec>, text: &[u8]) -> Flow {
    if let Some(transaction) = &mut call.connection.session.borrow_mut().transaction {
        transaction.has_failed = true;
    }
    if let Some(spec) = spec {
        call.shard.stats().by_command.of(spec.id).rejected.add(1);
    }
    if spec.is_some_and(|spec| spec.id == CommandId::Exec) {
        call.connection.session.borrow_mut().transaction = None;
        let reason = text.strip_prefix(b"ERR ").unwrap_or(text);
        return call.error([b"EXECABORT Transaction discarded because of: ", reason].concat());
    }
    call.error(text)
}

fn queue(call: &Call<'_>) -> Flow {
    let bytes_max = call.shard.node.settings.live.limits.transaction_bytes.get();
    let mut session = call.connection.session.borrow_mut();
    // Only asked for while there is one.
    let Some(transaction) = &mut session.transaction else { return Flow::Continue };
    let request = OwnedRequest::from(call.request);
    let bytes = transaction.held.get() + request.bytes();
    if bytes as u64 > bytes_max {
        transaction.has_failed = true;
        drop(session);
        return call.error(format!(
            "ERR transaction of more than {bytes_max} bytes (transaction-bytes-max); run EXEC more often"
        ));
    }
    transaction.held.set(bytes);
    transaction.queued.push(request);
    drop(session);
    call.reply(|reply| reply.simple("QUEUED"))
}

fn execute(call: &Call<'_>, spec: &'static CommandSpec) -> Flow {
    let stats = call.shard.stats();
    stats.commands.add(1);
    let start = Instant::now();
    {
        let mut session = call.connection.session.borrow_mut();
        session.last_active = start;
        session.last_command = spec.name;
    }
    let (own, errors) = (stats.by_command.of(spec.id), stats.errors.get());
    let is_due = own.is_due();
    let flow = cmd::run(call, spec.id);
    own.calls.add(1);
    if is_due {
        own.timed.add(1);
        own.timed_ns.add(start.elapsed().as_nanos() as u64);
    }
    if stats.errors.get() != errors {
        own.failed.add(1);
    }
    if call.shard.node.monitors.load(Ordering::Relaxed) > 0
        && !spec.flags.contains(Flags::ADMIN)
        && spec.id != CommandId::Exec
    {
        show(call, spec);
    }
    flow
}

/// Sends a command to those who said MONITOR, in the form of redis-cli.
fn show(call: &Call<'_>, spec: &CommandSpec) {
    let now = Node::unix_time();
    let database = call.connection.session.borrow().database;
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    let mut line = format!("+{seconds}.{micros:06} [{database} {}]", call.connection.peer).into_bytes();
    for (index, arg) in call.request.args(0).enumerate() {
        line.push(b' ');
        if is_secret(call, spec, index) {
            line.extend_from_slice(b"\"(redacted)\"");
        } else {
            cmd::quote(&mut line, arg);
        }
    }
    line.extend_from_slice(b"\r\n");
    call.shard.show_to_monitors(&line);
}

/// Whether an argument is a user's name or password: AUTH's, and those of HELLO's option AUTH.
fn is_secret(call: &Call<'_>, spec: &CommandSpec, index: usize) -> bool {
    match spec.id {
        CommandId::Auth => index > 0,
        CommandId::Hello => index > 2 && (call.is(index - 1, "AUTH") || call.is(index - 2, "AUTH")),
        _ => false,
    }
}

/// Subscribes a connection and notes it in the node's directory; or says why that is too much.
///
/// A client that wants too much is closed rather than answered with an error: to an error in answer to SUBSCRIBE,
/// Socket.IO's adapters end their process.
pub(crate) fn subscribe(
    shard: &Shard,
    seat: Seat,
    kind: SubscriptionKind,
    name: &[u8],
) -> Result<(), CloseReason> {
    let limits = &shard.node.settings.live.limits;
    let bytes_max = match kind {
        SubscriptionKind::Pattern => &limits.pattern_bytes,
        SubscriptionKind::Channel | SubscriptionKind::ShardChannel => &limits.channel_bytes,
    };
    if bytes_max.is_exceeded_by(name.len()) {
        return Err(CloseReason::NameTooLong);
    }
    let mut hub = shard.hub.borrow_mut();
    if !hub.subscribe(seat, kind, name) {
        return Ok(());
    }
    let counts = hub.counts(seat);
    let is_too_much =
        limits.subscriptions.is_exceeded_by(counts.all()) || limits.patterns.is_exceeded_by(counts.patterns);
    drop(hub);
    shard.node.directory.add(kind, name, shard.index);
    if is_too_much { Err(CloseReason::SubscriptionLimit) } else { Ok(()) }
}

/// Ends one subscription.
pub(crate) fn unsubscribe(shard: &Shard, seat: Seat, kind: SubscriptionKind, name: &[u8]) {
    if shard.hub.borrow_mut().unsubscribe(seat, kind, name) {
        shard.node.directory.remove(kind, name, shard.index);
    }
}

/// Ends any one subscription of a kind and returns its name.
fn unsubscribe_any(shard: &Shard, seat: Seat, kind: SubscriptionKind) -> Option<Vec<u8>> {
    let name = shard.hub.borrow().any_subscription(seat, kind)?.to_vec();
    unsubscribe(shard, seat, kind, &name);
    Some(name)
}

/// Ends some subscriptions of a connection. Returns whether there may be more.
pub(crate) fn unsubscribe_some(shard: &Shard, seat: Seat, count_max: usize) -> bool {
    for kind in SubscriptionKind::ALL {
        std::iter::from_fn(|| unsubscribe_any(shard, seat, kind)).take(count_max).for_each(drop);
    }
    shard.hub.borrow().counts(seat).any()
}

/// Ends all that a connection is subscribed to, in whichever way it gets that.
pub(crate) fn unsubscribe_from_everything(shard: &Shard, connection: &Connection) {
    for kind in SubscriptionKind::ALL {
        unsubscribe_all(shard, connection.seat, kind, |_| {});
    }
    shard.set_positioned(connection, false);
}

/// Ends all subscriptions of one kind, telling the name of each. Returns their number.
pub(crate) fn unsubscribe_all(
    shard: &Shard,
    seat: Seat,
    kind: SubscriptionKind,
    mut ended: impl FnMut(&[u8]),
) -> usize {
    std::iter::from_fn(|| unsubscribe_any(shard, seat, kind)).inspect(|name| ended(name)).count()
}
