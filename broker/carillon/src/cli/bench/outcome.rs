//! What a run found.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    client::{Client, Role, State},
    driver::Measured,
    histogram::{Latencies, latencies},
    ledger::Faults,
    plan::Plan,
    procs::Machine,
    publisher::Publisher,
};

/// Quantiles of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Quantiles {
    /// How many were measured.
    pub(super) count: u64,
    /// The median.
    pub(super) p50_us: f64,
    /// 90 %.
    pub(super) p90_us: f64,
    /// 99 %.
    pub(super) p99_us: f64,
    /// 99.9 %.
    pub(super) p999_us: f64,
    /// The longest.
    pub(super) max_us: f64,
}

impl Quantiles {
    pub(super) fn of(latencies: &Latencies) -> Self {
        let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: latencies.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: latencies.max() as f64 / 1000.0,
        }
    }
}

/// What clients saw whose first server this was.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ServerView {
    /// Its address.
    pub(super) address: String,
    /// Its publishers.
    pub(super) publishers: u32,
    /// Its subscribers.
    pub(super) subscribers: u32,
    /// Deliveries within the measured time.
    pub(super) delivered: u64,
    /// What its subscribers found wrong.
    #[serde(flatten)]
    pub(super) faults: Faults,
    /// Deliveries that were missed while not connected.
    pub(super) missed: u64,
    /// Deliveries that had come on an earlier connection already.
    pub(super) repeated: u64,
    /// Open connections that the server closed.
    pub(super) closed: u64,
    /// Longest time without a message on a connected subscriber, in milliseconds.
    pub(super) gap_ms_max: f64,
    /// Longest time from a connection's end until messages came again, in milliseconds.
    pub(super) subscriber_outage_ms_max: f64,
    /// Longest time from a connection's end until a PUBLISH was answered again, in milliseconds.
    pub(super) publisher_outage_ms_max: f64,
    /// Longest wait for the answer to a PUBLISH, in milliseconds.
    pub(super) answer_wait_ms_max: f64,
    /// Publishes that were answered with an error.
    pub(super) refused: u64,
    /// Publishes that were not answered because the connection ended.
    pub(super) unanswered: u64,
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    /// Seconds that were measured.
    pub(super) seconds: f64,
    /// Publishes that were answered within the measured time.
    pub(super) published: u64,
    /// Deliveries within the measured time.
    pub(super) delivered: u64,
    /// Publishes a second.
    pub(super) published_per_s: f64,
    /// Deliveries a second.
    pub(super) delivered_per_s: f64,
    /// The servers' processor time for each delivery, in microseconds; absent when no process is known.
    pub(super) cpu_us_per_delivered: Option<f64>,
    /// From when a message was due (open loop) or sent (closed loop) to its delivery.
    pub(super) latency: Quantiles,
    /// From PUBLISH to its answer.
    pub(super) answer: Quantiles,
    /// What all subscribers found wrong.
    #[serde(flatten)]
    pub(super) faults: Faults,
    /// Open connections that servers closed.
    pub(super) closed: u64,
    /// Longest time by which the load sent a message of an open loop later than it was due, in milliseconds.
    pub(super) send_lag_ms_max: f64,
    /// Longest time for which the load itself got no processor, in milliseconds: latencies up to it may be its own.
    pub(super) load_stall_ms_max: f64,
    /// Who used the machine.
    pub(super) machine: Machine,
    /// Each server as its clients saw it.
    pub(super) servers: Vec<ServerView>,
    /// All latencies, for the plot.
    #[serde(skip)]
    pub(super) latencies: Latencies,
}

/// Nanoseconds as milliseconds.
fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

impl Outcome {
    /// Judges what the threads have measured.
    pub(super) fn new(plan: &Plan, addresses: &[String], seconds: f64, threads: Vec<Measured>) -> Self {
        let (mut all, mut answers) = (latencies(), latencies());
        let mut clients = Vec::new();
        let stall_max_ns = threads.iter().map(|thread| thread.stall_max_ns).max().unwrap_or(0);
        for thread in threads {
            // All have the same bounds.
            all.add(&thread.latencies).expect("the bounds are the same");
            answers.add(&thread.answers).expect("the bounds are the same");
            clients.extend(thread.clients);
        }
        let mut servers: Vec<ServerView> = addresses
            .iter()
            .map(|address| ServerView { address: address.clone(), ..ServerView::default() })
            .collect();
        let mut publishers: Vec<&Publisher> = clients
            .iter()
            .filter_map(|client| match &client.role {
                Role::Publisher(publisher) => Some(publisher),
                Role::Subscriber(_) => None,
            })
            .collect();
        publishers.sort_by_key(|publisher| publisher.id);
        let homes = servers.len();
        clients.iter().for_each(|client| servers[client.home % homes].add(client, plan, &publishers));
        let mut faults = Faults::default();
        servers.iter().for_each(|server| faults.add(&server.faults));
        let delivered = servers.iter().map(|server| server.delivered).sum();
        let published = publishers.iter().map(|publisher| publisher.answered).sum();
        let send_lag_ns_max = publishers.iter().map(|publisher| publisher.send_lag_max_ns).max().unwrap_or(0);
        Self {
            seconds,
            published,
            delivered,
            published_per_s: published as f64 / seconds,
            delivered_per_s: delivered as f64 / seconds,
            cpu_us_per_delivered: None,
            latency: Quantiles::of(&all),
            answer: Quantiles::of(&answers),
            faults,
            closed: servers.iter().map(|server| server.closed).sum(),
            send_lag_ms_max: if plan.rate.is_some() { ms(send_lag_ns_max) } else { 0.0 },
            load_stall_ms_max: ms(stall_max_ns),
            machine: Machine::default(),
            servers,
            latencies: all,
        }
    }

    /// Notes who used the machine.
    pub(super) fn set_machine(&mut self, machine: Machine) {
        let server_us = machine.server_cores.map(|cores| cores * self.seconds * 1e6);
        self.cpu_us_per_delivered =
            server_us.filter(|_| self.delivered > 0).map(|server_us| server_us / self.delivered as f64);
        self.machine = machine;
    }

    /// Publishes that were answered with an error.
    pub(super) fn refused(&self) -> u64 {
        self.servers.iter().map(|server| server.refused).sum()
    }
}

impl ServerView {
    fn add(&mut self, client: &Client, plan: &Plan, publishers: &[&Publisher]) {
        self.closed += client.closed;
        let outage_ms = ms(client.outage_max_ns);
        match &client.role {
            Role::Publisher(publisher) => {
                self.publishers += 1;
                self.publisher_outage_ms_max = self.publisher_outage_ms_max.max(outage_ms);
                self.answer_wait_ms_max = self.answer_wait_ms_max.max(ms(publisher.answer_wait_max_ns));
                self.refused += publisher.refused;
                let unsure: usize = publisher.unsure.values().map(BTreeSet::len).sum();
                self.unanswered += (unsure as u64).saturating_sub(publisher.refused);
            }
            Role::Subscriber(subscriber) => {
                self.subscribers += 1;
                self.subscriber_outage_ms_max = self.subscriber_outage_ms_max.max(outage_ms);
                self.delivered += subscriber.received_measured;
                self.gap_ms_max = self.gap_ms_max.max(ms(subscriber.gap_max_ns));
                self.faults.add(&subscriber.faults);
                debug_assert!(client.state != State::Over || client.closed > 0);
                let nothing = BTreeSet::new();
                let mut streams = subscriber.streams.iter();
                for channel in plan.channels_of(subscriber.id) {
                    for (publisher, stream) in publishers.iter().zip(streams.by_ref()) {
                        let unsure = publisher.unsure.get(&channel).unwrap_or(&nothing);
                        let (lost, missed) = stream.close(publisher.sent[channel as usize], unsure);
                        self.faults.lost += lost;
                        self.missed += missed;
                        self.repeated += stream.repeated();
                    }
                }
            }
        }
    }
}
