//! A subscriber: notes when it was confirmed, what arrived and when, and when it was closed.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed, time::Instant};

use carillon_proto::resp::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    Phase, Stage, SubscriberPlan,
    conversation::{Incoming, numbers},
};
use crate::{
    command,
    history::{Closed, Receipt, Subscription, Topic},
};

/// Bytes that one that does not keep up reads at a time.
const SLOW_READ_BYTES: u64 = 4096;

pub(super) async fn run(stage: Rc<Stage>, subscriber: usize, plan: SubscriberPlan) {
    let mut attempt = 0;
    while let Some((node, stream)) = stage.connect(plan.place, &mut attempt, Phase::End).await {
        let mut subscription = Subscription {
            subscriber,
            node,
            topic: plan.topic.clone(),
            asked: Instant::now(),
            confirmed: None,
            refused: None,
            received: Vec::new(),
            closed: Closed::ByNode(Instant::now()),
            is_slow: !plan.read_pause.is_zero(),
        };
        subscription.closed = listen(&stage, &plan, stream, &mut subscription).await;
        if subscription.confirmed.is_some() {
            stage.counters.subscribed.fetch_sub(1, Relaxed);
            let is_by_node = matches!(subscription.closed, Closed::ByNode(_));
            stage.counters.closed.fetch_add(u64::from(is_by_node), Relaxed);
        }
        stage.history.borrow_mut().subscriptions.push(subscription);
    }
}

async fn listen(
    stage: &Stage,
    plan: &SubscriberPlan,
    mut stream: TcpStream,
    subscription: &mut Subscription,
) -> Closed {
    let mut request = Vec::new();
    if plan.is_resp3 {
        request.extend(command(&["HELLO", "3"]));
    }
    request.extend(match &plan.topic {
        Topic::Channel(name) => command(&["SUBSCRIBE", name]),
        Topic::Prefix(beginning) => command(&["PSUBSCRIBE", &format!("{beginning}*")]),
    });
    if stream.write_all(&request).await.is_err() {
        return Closed::ByNode(Instant::now());
    }
    let mut phase = stage.phase.clone();
    let mut incoming = Incoming::default();
    loop {
        let read = async {
            if plan.read_pause.is_zero() || *stage.phase.borrow() != Phase::Publish {
                return stream.read_buf(&mut incoming.bytes).await;
            }
            tokio::time::sleep(plan.read_pause).await;
            let mut limited = (&mut stream).take(SLOW_READ_BYTES);
            limited.read_buf(&mut incoming.bytes).await
        };
        tokio::select! {
            biased;
            read = read => {
                let at = Instant::now();
                if !matches!(read, Ok(1..)) {
                    return Closed::ByNode(at);
                }
                while let Some(value) = incoming.next() {
                    note(stage, subscription, value, at);
                }
            }
            _ = phase.wait_for(|phase| *phase == Phase::End) => return Closed::AtTheEnd(Instant::now()),
        }
    }
}

fn note(stage: &Stage, subscription: &mut Subscription, value: Value, at: Instant) {
    let values = match value {
        Value::Array(values) | Value::Push(values) => values,
        Value::Error(text) => {
            subscription.refused = Some(text);
            return;
        }
        // The reply to HELLO.
        _ => return,
    };
    let Some(Value::Bulk(kind)) = values.first() else { return };
    match kind.as_slice() {
        b"subscribe" | b"psubscribe" => {
            subscription.confirmed = Some(at);
            stage.counters.subscribed.fetch_add(1, Relaxed);
        }
        b"message" | b"pmessage" => {
            let Some(Value::Bulk(payload)) = values.last() else { return };
            if let Some((publisher, sequence)) = numbers(payload) {
                subscription.received.push(Receipt { publisher, sequence, at });
                stage.counters.received.fetch_add(1, Relaxed);
            }
        }
        _ => {}
    }
}
