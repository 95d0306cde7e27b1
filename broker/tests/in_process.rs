//! Programs and the nodes inside them, without a socket in between.

#[path = "../examples/common/mod.rs"]
mod common;

use std::{path::Path, time::Duration};

use carillon_broker::{Broker, Contents, Settings};
use carillon_client::{
    Address, Client, ClientError, ClientSettings, Endpoint, Event, GapCause, LossCause, Message, SlowReader,
    Subscription, Value, Via,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(data: &Path) -> Settings {
    let any_port = ([127, 0, 0, 1], 0);
    Settings::default().client_addr(any_port).admin_addr(any_port).data_dir(data).drain_ms(100)
}

async fn start(settings: Settings) -> Broker {
    let broker = Broker::start(settings).await.expect("starts");
    tokio::time::timeout(PATIENCE, broker.ready()).await.expect("in time").expect("takes clients");
    broker
}

fn over_a_socket(broker: &Broker) -> Client {
    let addr = broker.client_addr().expect("a port without TLS");
    Client::new(&addr.to_string()).expect("an address")
}

async fn next(subscription: &mut Subscription) -> Event {
    let event = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
    event.expect("goes on").expect("goes on")
}

async fn message(subscription: &mut Subscription) -> Message {
    match next(subscription).await {
        Event::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_and_clients_over_sockets_hear_the_same_and_are_counted_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A password is for those who come over a socket.
    let settings = settings(&folder.path().join("data")).password_file(Contents::new("secret")).shards(2);
    let broker = start(settings).await;
    let (client, addr) = (broker.client(), broker.client_addr().expect("a port without TLS"));
    let outside = Client::new(&format!("redis://:secret@{addr}")).expect("an address");
    let mut own =
        client.subscription().channels(["news"]).patterns(["n?ws"]).open().await.expect("subscribes");
    let mut twin = broker.client().subscribe(["news"]).await.expect("subscribes");
    let mut other = outside.subscribe(["news"]).await.expect("subscribes");
    let mut shard = client.subscription().shard_channels(["news"]).open().await.expect("subscribes");
    let counts = client.request(["pubsub", "numsub", "news"]).await.expect("answers");
    assert_eq!(counts, Value::Array(vec![Value::Bulk(b"news".to_vec()), Value::Integer(3)]));
    for (publisher, len) in [(&client, 10), (&outside, 100_000)] {
        let payload = vec![b'x'; len];
        assert_eq!(publisher.publish("news", &payload).await.expect("publishes"), 4);
        let heard = [message(&mut own).await, message(&mut own).await, message(&mut twin).await];
        let via: Vec<&Via> = heard.iter().map(|message| &message.via).collect();
        assert_eq!(via, [&Via::Channel, &Via::Pattern("n?ws".into()), &Via::Channel]);
        assert!(heard.iter().all(|message| message.payload == payload && message.channel == "news"));
        // By one subscription and by the next it is the same memory.
        assert_eq!(heard[0].payload.as_ptr(), heard[1].payload.as_ptr());
        assert_eq!(message(&mut other).await.payload, payload);
        assert_eq!(publisher.spublish("news", "s").await.expect("publishes"), 1);
        assert_eq!(message(&mut shard).await.payload, "s");
    }
    drop(own);
    // The end of a subscription is on its way behind the drop.
    while client.publish("news", "").await.expect("publishes") != 2 {}
    broker.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn a_program_that_does_not_read_is_told_what_it_missed_and_the_node_holds_no_more_than_it_may() {
    const MESSAGES: u64 = 3_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let limited = settings(folder.path()).outbox_bytes_max(2 << 20).outbox_soft_bytes(0);
    let broker = start(limited).await;
    let publisher = over_a_socket(&broker);
    for policy in [SlowReader::Block, SlowReader::Drop, SlowReader::End] {
        let mut bounds = ClientSettings::default();
        (bounds.slow_reader, bounds.unread_bytes_max) = (policy, 64 * 1024);
        bounds.connection.unread_bytes_max = 64 * 1024;
        let client = broker.client_with(Vec::new(), bounds);
        let mut subscription = client.subscribe(["flood"]).await.expect("subscribes");
        let payload = |number: u64| [&number.to_be_bytes()[..], &[0; 10_000]].concat();
        for number in 0..MESSAGES {
            publisher.publish("flood", payload(number)).await.expect("publishes");
        }
        // What comes is in order, and wherever something is not there the stream has said so, once.
        let (mut expected, mut may_miss, mut closed_for) = (0, false, None);
        while expected < MESSAGES {
            let next = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
            match next.expect("has not ended") {
                Ok(Event::Message(message)) => {
                    let number = u64::from_be_bytes(message.payload[..8].try_into().expect("a number"));
                    assert!(
                        number == expected || may_miss && number > expected,
                        "{number} is not {expected}"
                    );
                    (expected, may_miss) = (number + 1, false);
                }
                Ok(Event::Gap(gap)) => {
                    may_miss = true;
                    if let GapCause::Overflow { dropped } = gap.cause {
                        (expected, may_miss) = (expected + dropped, false);
                    }
                }
                Ok(Event::Interrupted(lost)) => closed_for = Some(lost.cause),
                Ok(_) => {}
                Err(ClientError::Overflow { .. }) if policy == SlowReader::End => break,
                Err(error) => panic!("{error}"),
            }
        }
        if policy == SlowReader::Block {
            let is_right = matches!(closed_for, Some(LossCause::ClosedBecause("outbox_hard_limit")));
            assert!(is_right, "30 MB do not fit into 2: {closed_for:?}");
        }
    }
    broker.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn a_fenced_node_closes_its_own_program_with_the_reason_and_it_goes_on_when_the_node_is_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = common::cluster(3, folder.path()).expect("free ports").into_iter();
    let cluster: Vec<Settings> =
        cluster.map(|node| node.drain_ms(100).lease_ms(1_500).eviction_ms(2_500)).collect();
    let mut nodes = Vec::new();
    for settings in &cluster {
        nodes.push(Broker::start(settings.clone()).await.expect("starts"));
    }
    for node in &nodes {
        tokio::time::timeout(PATIENCE, node.ready()).await.expect("in time").expect("is in the view");
    }
    let [first, second, third]: [Broker; 3] = nodes.try_into().expect("three nodes");
    let (client, elsewhere) = (first.client(), second.client());
    let mut own = client.subscribe(["c"]).await.expect("subscribes");
    // The whole cluster is one broker, for those inside as well.
    assert_eq!(elsewhere.publish("c", "1").await.expect("publishes"), 1);
    assert_eq!(message(&mut own).await.payload, "1");

    second.shutdown().await.expect("leaves in order");
    third.shutdown().await.expect("leaves in order");
    let Event::Interrupted(lost) = next(&mut own).await else { panic!("the node has no majority any more") };
    assert!(matches!(lost.cause, LossCause::ClosedBecause("fenced")), "{lost}");
    assert!(first.readiness().is_err());

    let second = start(cluster[1].clone()).await;
    let mut has_gone_on = false;
    loop {
        // Nothing was published in between, and nobody can vouch for that: a gap is what may be said.
        match next(&mut own).await {
            Event::Gap(_) | Event::Resumed => has_gone_on = true,
            Event::Message(message) => {
                assert!(has_gone_on && message.payload == "2", "{message:?}");
                break;
            }
            _ => {}
        }
        if has_gone_on {
            second.client().publish("c", "2").await.expect("publishes");
        }
    }
    for node in [second, first] {
        node.shutdown().await.expect("ends in order");
    }
}

#[tokio::test]
async fn a_client_that_comes_to_another_cluster_is_told_of_the_gap_and_goes_on_with_numbers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nodes = |count, name| common::cluster(count, &folder.path().join(name)).expect("free ports");
    let mut before = Vec::new();
    for settings in nodes(2, "before") {
        before.push(Broker::start(settings.drain_ms(100)).await.expect("starts"));
    }
    for node in &before {
        tokio::time::timeout(PATIENCE, node.ready()).await.expect("in time").expect("is in the view");
    }
    let addr = before[0].client_addr().expect("a port without TLS");
    let client = over_a_socket(&before[0]);
    let mut own = client.subscribe(["c"]).await.expect("subscribes");
    assert_eq!(client.publish("c", "before").await.expect("publishes"), 1);
    assert_eq!(message(&mut own).await.payload, "before");
    let epoch_before = before[1].status().await["epoch"].as_u64().expect("a view");
    for node in before {
        node.shutdown().await.expect("leaves in order");
    }

    // Behind the same address is another one, which has seen fewer views.
    let [settings]: [Settings; 1] = nodes(1, "after").try_into().expect("one node");
    let after = start(settings.client_addr(addr).drain_ms(100)).await;
    assert!(after.status().await["epoch"].as_u64().expect("a view") < epoch_before);
    let gap = loop {
        match next(&mut own).await {
            Event::Gap(gap) => break gap,
            Event::Interrupted(_) | Event::Unreachable(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(gap.cause, GapCause::Forgotten(_)), "{gap:?}");
    assert_eq!(client.publish("c", "after").await.expect("publishes"), 1);
    assert_eq!(message(&mut own).await.payload, "after");
    // With numbers, what is missed while it is away comes.
    client.request(["client", "kill", "type", "pubsub"]).await.expect("kills");
    assert!(matches!(next(&mut own).await, Event::Interrupted(_)));
    client.publish("c", "meanwhile").await.expect("publishes");
    let mut told = vec![next(&mut own).await, next(&mut own).await];
    told.retain(|event| !matches!(event, Event::Resumed));
    assert!(matches!(&told[..], [Event::Message(message)] if message.payload == "meanwhile"), "{told:?}");
    after.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn clients_of_a_node_that_was_shut_down_end_and_do_not_keep_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = start(settings(folder.path())).await;
    let client = broker.client();
    let mut subscription = client.subscribe(["c"]).await.expect("subscribes");
    assert_eq!(broker.clients(), 1, "requests are sent when there are some");
    client.publish("c", "last").await.expect("publishes");
    broker.shutdown().await.expect("ends in order");
    assert_eq!(message(&mut subscription).await.payload, "last");
    let mut events = Vec::new();
    let error = loop {
        let event = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
        match event.expect("ends with an error") {
            Ok(event) => events.push(event),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&events[..], [Event::Interrupted(lost)] if matches!(lost.cause, LossCause::ClosedBecause("shutdown"))),
        "{events:?}"
    );
    assert!(matches!(error, ClientError::GivenUp(_)) && error.to_string().contains("has ended"), "{error}");
    let error = client.publish("c", "too late").await.expect_err("there is nobody").to_string();
    assert!(error.contains("has ended"), "{error}");
    // Its folder is free, while the client is still there.
    start(settings(folder.path())).await.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn a_client_that_knows_other_nodes_too_prefers_that_of_its_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = start(settings(folder.path())).await;
    let elsewhere = Address::new(Endpoint::Tcp {
        host: "127.0.0.1".into(),
        port: broker.client_addr().expect("a port").port(),
    });
    for _ in 0..20 {
        let client = broker.client_with(vec![elsewhere.clone()], ClientSettings::default());
        let info = client.request(["client", "info"]).await.expect("is answered");
        let Value::Bulk(info) = info else { panic!("a text: {info:?}") };
        let info = String::from_utf8_lossy(&info);
        assert!(info.contains("addr=in-process"), "{info}");
    }
    broker.shutdown().await.expect("ends in order");
}

/// That this process's own node has ended for good says nothing of another that cannot be reached at the moment.
#[tokio::test]
async fn a_subscription_goes_on_elsewhere_when_the_node_of_its_process_has_ended_for_good() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = start(settings(&folder.path().join("own"))).await;
    let ports = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let addr = ports.local_addr().expect("an address");
    drop(ports);
    let elsewhere = Address::new(Endpoint::Tcp { host: addr.ip().to_string(), port: addr.port() });
    let client = broker.client_with(vec![elsewhere], ClientSettings::default());
    let mut subscription = client.subscribe(["c"]).await.expect("subscribes");
    broker.shutdown().await.expect("ends in order");
    assert!(matches!(next(&mut subscription).await, Event::Interrupted(_)));
    assert!(matches!(next(&mut subscription).await, Event::Unreachable(_)));
    let other = start(settings(&folder.path().join("other")).client_addr(addr)).await;
    loop {
        if matches!(next(&mut subscription).await, Event::Gap(_)) {
            break;
        }
    }
    client.publish("c", "elsewhere").await.expect("publishes");
    assert_eq!(message(&mut subscription).await.payload, "elsewhere");
    other.shutdown().await.expect("ends in order");
}
