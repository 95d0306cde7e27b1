//! [MULTI and EXEC](https://redis.io/docs/latest/develop/using-commands/transactions/): redis-py's pipelines
//! publish inside them by default.

use crate::server::{
    dispatch::{Call, Flow},
    session::{Executing, Transaction},
};

pub(super) fn multi(call: &Call<'_>) -> Flow {
    if call.connection.session.borrow().transaction.is_some() {
        return call.error("ERR MULTI calls can not be nested");
    }
    call.connection.session.borrow_mut().transaction = Some(Transaction::new(call.shard.holdings.part()));
    call.ok()
}

/// Answers with the header of the array; the connection then runs the queued commands before anything else, and
/// their replies are its elements.
pub(super) fn exec(call: &Call<'_>) -> Flow {
    let transaction = call.connection.session.borrow_mut().transaction.take();
    match transaction {
        None => call.error("ERR EXEC without MULTI"),
        Some(transaction) if transaction.has_failed => {
            call.error("EXECABORT Transaction discarded because of previous errors.")
        }
        Some(transaction) => {
            let flow = call.reply(|reply| reply.array(transaction.queued.len()));
            let Transaction { queued, held, .. } = transaction;
            call.connection.session.borrow_mut().executing = Some(Executing { left: queued.into(), held });
            flow
        }
    }
}

pub(super) fn discard(call: &Call<'_>) -> Flow {
    let transaction = call.connection.session.borrow_mut().transaction.take();
    if transaction.is_some() { call.ok() } else { call.error("ERR DISCARD without MULTI") }
}

pub(super) fn watch(call: &Call<'_>) -> Flow {
    if call.connection.session.borrow().transaction.is_some() {
        return call.error("ERR WATCH inside MULTI is not allowed");
    }
    call.ok()
}
