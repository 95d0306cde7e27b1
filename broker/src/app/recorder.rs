//! What the console shows of this node: its numbers second by second, and what has happened to it lately.
//!
//! Everything is found by comparing the counters that are there anyway, once a second: nothing on the path of a delivery
//! knows of it. Messages of single channels and patterns are taken only while somebody looks, since that walks over all
//! their names.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cluster::{ClusterNode, Condition},
    hub::{SubscriptionKind, Traffic},
    lock::lock,
    server::{CloseReason, Node},
};

/// Between two looks.
const SECOND: Duration = Duration::from_secs(1);

/// Looks that are remembered: what a chart as wide as a phone can show.
const SAMPLES_MAX: usize = 120;

/// Events, and closes, that are remembered.
const EVENTS_MAX: usize = 50;

/// Channels and patterns that are told, and clients.
const NAMES_MAX: usize = 15;
const CLIENTS_MAX: usize = 10;

/// Somebody looks at a console for as long after it was told something.
const WATCHED_FOR: Duration = Duration::from_secs(5);

/// Follows one node.
#[derive(Debug)]
pub(super) struct Recorder {
    node: Arc<Node>,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    totals: Option<Totals>,
    seen: Option<Seen>,
    rates: VecDeque<Rates>,
    events: VecDeque<Event>,
    closes: VecDeque<Event>,
    links: Vec<Link>,
    names: Vec<Name>,
    /// When a console was last told something.
    told: Option<Instant>,
}

/// A channel or pattern.
#[derive(Clone, Debug, Serialize)]
struct Name {
    kind: &'static str,
    name: String,
    subscribers: u64,
    /// Messages in the last second, if somebody looked all that time.
    messages: Option<u32>,
}

/// Counters of a moment.
#[derive(Clone, Debug, PartialEq)]
struct Totals {
    published: u64,
    delivered: u64,
    input_bytes: u64,
    output_bytes: u64,
    closed: Vec<u64>,
}

/// What happened in one second.
#[derive(Clone, Debug, Serialize)]
struct Rates {
    published: u64,
    delivered: u64,
    input_bytes: u64,
    output_bytes: u64,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
struct Event {
    /// Milliseconds since 1970.
    at_ms: u64,
    text: String,
}

/// A link to another node.
#[derive(Clone, Debug, Serialize)]
struct Link {
    name: String,
    link_up: bool,
    rtt_us: Option<u64>,
}

/// What is known of the cluster at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    epoch: u64,
    view: Vec<String>,
    leader: Option<String>,
    term: u64,
    condition: String,
    fences: u64,
    evictions: u64,
    links_lost: u64,
    /// Names of the nodes that there is a link to.
    linked: Vec<String>,
}

impl Recorder {
    pub(super) fn new(node: Arc<Node>) -> Arc<Self> {
        Arc::new(Self { node, recent: Mutex::default() })
    }

    /// Looks once a second for as long as it is polled. `cluster` tells the membership of the moment.
    pub(super) async fn run(&self, cluster: impl Fn() -> Option<Arc<ClusterNode>>) {
        let mut ticks = tokio::time::interval(SECOND);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_watched = false;
        loop {
            ticks.tick().await;
            let is_watched = lock(&self.recent).told.is_some_and(|told| told.elapsed() < WATCHED_FOR);
            // What is taken first has gathered for longer than a second.
            let names = if is_watched { self.names(was_watched).await } else { Vec::new() };
            was_watched = is_watched;
            let cluster = cluster();
            let (totals, seen) = (self.totals(), cluster.as_deref().map(seen));
            let mut recent = lock(&self.recent);
            recent.names = names;
            recent.add(totals, seen, Node::unix_time().as_millis() as u64);
            recent.links = cluster.as_deref().map(links).unwrap_or_default();
        }
    }

    fn totals(&self) -> Totals {
        let node = &self.node;
        Totals {
            published: node.total(|stats| stats.published.get()),
            delivered: node.total(|stats| stats.delivered.get()),
            input_bytes: node.total(|stats| stats.input_bytes.get()),
            output_bytes: node.total(|stats| stats.output_bytes.get()),
            closed: CloseReason::ALL.map(|reason| node.closed(reason)).into(),
        }
    }

    /// All of it, as JSON.
    pub(super) async fn overview(&self) -> Value {
        let clients = self.node.largest_clients(CLIENTS_MAX).await;
        let mut recent = lock(&self.recent);
        recent.told = Some(Instant::now());
        json!({
            "clients": self.node.clients(),
            "rates": recent.rates,
            "events": recent.events,
            "closes": recent.closes,
            "links": recent.links,
            "largest_clients": clients,
            "names": recent.names,
        })
    }

    /// The names with most subscribers and with most messages.
    async fn names(&self, is_counted: bool) -> Vec<Name> {
        let directory = &self.node.directory;
        let largest =
            |kind| directory.largest(kind, NAMES_MAX).into_iter().map(move |(name, _)| (kind, name));
        let largest: Vec<_> = SubscriptionKind::ALL.into_iter().flat_map(largest).collect();
        let traffic = self.node.take_traffic(NAMES_MAX, &largest).await;
        let told = traffic.into_iter().map(|Traffic { kind, name, messages }| Name {
            kind: label(kind),
            name: String::from_utf8_lossy(&name).into_owned(),
            subscribers: directory.subscribers(kind, &name),
            messages: is_counted.then_some(messages),
        });
        told.collect()
    }
}

fn label(kind: SubscriptionKind) -> &'static str {
    match kind {
        SubscriptionKind::Channel => "channel",
        SubscriptionKind::Pattern => "pattern",
        SubscriptionKind::ShardChannel => "shard channel",
    }
}

fn links(cluster: &ClusterNode) -> Vec<Link> {
    let (state, me) = (cluster.state().unwrap_or_default(), cluster.identity().map_or(0, |own| own.node));
    let others = state.members.iter().filter(|(node, _)| **node != me);
    let link = |(node, member): (&u64, &crate::raft::Member)| {
        let link = cluster.links.get(*node);
        Link {
            name: member.name.clone(),
            link_up: link.is_some(),
            rtt_us: link.map(|link| link.round_trip().as_micros() as u64),
        }
    };
    others.map(link).collect()
}

fn seen(cluster: &ClusterNode) -> Seen {
    use std::sync::atomic::Ordering::Relaxed;
    let (role, state, counters) = (cluster.role(), cluster.state().unwrap_or_default(), &cluster.counters);
    let name = |node: &u64| state.members.get(node).map(|member| member.name.clone());
    let condition = match &*cluster.condition().borrow() {
        Condition::Serving => "serving".to_owned(),
        Condition::Draining => "draining".to_owned(),
        Condition::Joining(why) => format!("not in a cluster: {why}"),
        Condition::Entering(why) => format!("not in the view: {why}"),
    };
    Seen {
        epoch: state.view.epoch,
        view: state.view.members.keys().filter_map(name).collect(),
        leader: role.leader.as_ref().and_then(name),
        term: role.term,
        condition,
        fences: counters.fences.load(Relaxed),
        evictions: counters.evictions.load(Relaxed),
        links_lost: counters.links_lost.load(Relaxed),
        linked: links(cluster).into_iter().filter(|link| link.link_up).map(|link| link.name).collect(),
    }
}

impl Recent {
    fn add(&mut self, totals: Totals, seen: Option<Seen>, at_ms: u64) {
        if let Some(before) = &self.totals {
            let rates = Rates {
                published: totals.published - before.published,
                delivered: totals.delivered - before.delivered,
                input_bytes: totals.input_bytes - before.input_bytes,
                output_bytes: totals.output_bytes - before.output_bytes,
            };
            push(&mut self.rates, rates, SAMPLES_MAX);
            for (reason, (now, before)) in
                CloseReason::ALL.iter().zip(totals.closed.iter().zip(&before.closed))
            {
                let count = now - before;
                if count > 0 {
                    let text = format!("{count} × {}", reason.label());
                    push(&mut self.closes, Event { at_ms, text }, EVENTS_MAX);
                }
            }
        }
        self.totals = Some(totals);
        if let Some(seen) = seen {
            for text in changes(&self.seen.take().unwrap_or_default(), &seen) {
                push(&mut self.events, Event { at_ms, text }, EVENTS_MAX);
            }
            self.seen = Some(seen);
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn changes(before: &Seen, now: &Seen) -> Vec<String> {
    let mut texts = Vec::new();
    if now.fences > before.fences {
        texts.push("fenced: clients closed".to_owned());
    }
    if now.epoch != before.epoch {
        let change = |sign: &'static str, from: &[String], to: &[String]| {
            let new = to.iter().filter(|name| !from.contains(name));
            new.flat_map(|name| [" ", sign, name]).collect::<String>()
        };
        let (came, went) = (change("+", &before.view, &now.view), change("−", &now.view, &before.view));
        texts.push(format!("view {}{came}{went}", now.epoch));
    }
    if let Some(leader) = &now.leader
        && (now.leader != before.leader || now.term != before.term)
    {
        texts.push(format!("{leader} leads, term {}", now.term));
    }
    if now.evictions > before.evictions {
        texts.push("a node was voted out".to_owned());
    }
    if now.links_lost > before.links_lost {
        let lost: Vec<_> = before.linked.iter().filter(|name| !now.linked.contains(name)).collect();
        texts.extend(lost.iter().map(|name| format!("the link to {name} was lost")));
        if lost.is_empty() {
            texts.push("a link was lost, and is there again".to_owned());
        }
    }
    if now.condition != before.condition {
        texts.push(now.condition.clone());
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(published: u64, quits: u64) -> Totals {
        let mut closed = vec![0; CloseReason::ALL.len()];
        closed[CloseReason::Quit.index()] = quits;
        Totals { published, delivered: 2 * published, input_bytes: 0, output_bytes: 0, closed }
    }

    #[test]
    fn a_second_is_told_by_what_has_changed_in_it() {
        let mut recent = Recent::default();
        recent.add(totals(5, 0), None, 1000);
        assert!(recent.rates.is_empty() && recent.closes.is_empty(), "nothing is known of before");
        recent.add(totals(7, 3), None, 2000);
        assert_eq!((recent.rates[0].published, recent.rates[0].delivered), (2, 4));
        assert_eq!((recent.closes[0].at_ms, recent.closes[0].text.as_str()), (2000, "3 × quit"));
    }

    #[test]
    fn what_happens_in_the_cluster_is_told_in_words() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let three = Seen {
            epoch: 3,
            view: names(&["a", "b", "c"]),
            term: 1,
            leader: Some("a".into()),
            ..Seen::default()
        };
        assert_eq!(changes(&three, &three), Vec::<String>::new());
        let two = Seen {
            epoch: 4,
            view: names(&["b", "c"]),
            term: 2,
            leader: Some("b".into()),
            evictions: 1,
            ..three.clone()
        };
        assert_eq!(changes(&three, &two), ["view 4 −a", "b leads, term 2", "a node was voted out"]);
        assert_eq!(changes(&two, &Seen { fences: 1, ..two.clone() }), ["fenced: clients closed"]);
        let linked = Seen { linked: names(&["a", "c"]), ..three };
        let lost = Seen { linked: names(&["c"]), links_lost: 1, ..linked.clone() };
        assert_eq!(changes(&linked, &lost), ["the link to a was lost"]);
        let back = Seen { links_lost: 1, ..linked.clone() };
        assert_eq!(changes(&linked, &back), ["a link was lost, and is there again"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        for second in 0..1000 {
            recent.add(totals(second, second), None, second);
        }
        assert_eq!((recent.rates.len(), recent.closes.len()), (SAMPLES_MAX, EVENTS_MAX));
    }
}
