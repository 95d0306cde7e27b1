//! Addresses that are dead, servers that refuse, readers that are slow.

use std::{fs, sync::Arc, time::Duration};

use carillon_client::{
    Client, ClientError, ClientSettings, ConnectError, Event, GapCause, Network, SlowReader, Tls,
};
use carillon_cluster_tests::{Server, free_addr};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

pub(crate) fn client(addresses: &str, change: impl FnOnce(&mut ClientSettings)) -> Client {
    with(addresses, Network::default(), change)
}

fn with(addresses: &str, network: Network, change: impl FnOnce(&mut ClientSettings)) -> Client {
    let mut settings = ClientSettings::default();
    change(&mut settings);
    let addresses = addresses.split(',').map(|address| address.parse().expect("an address")).collect();
    Client::with(addresses, Arc::new(network), settings)
}

pub(crate) async fn message(subscription: &mut carillon_client::Subscription) -> String {
    match subscription.next().await.expect("goes on").expect("has no error") {
        Event::Message(message) => String::from_utf8_lossy(&message.payload).into_owned(),
        other => panic!("{other:?}"),
    }
}

/// One that refuses, one that does not answer at all (of a network that is for documentation, RFC 5737), one that serves.
#[tokio::test]
async fn dead_entries_of_a_list_cost_no_more_than_a_moment() {
    let server = Server::carillon(&[]);
    let client = client(&format!("{},192.0.2.1:6379,{}", free_addr(), server.addr), |_| ());
    for _ in 0..3 {
        let subscription = tokio::time::timeout(Duration::from_secs(4), client.subscribe(["news"])).await;
        let mut subscription = subscription.expect("soon").expect("one of them serves");
        assert_eq!(client.publish("news", "hello").await.expect("one of them serves"), 1);
        assert_eq!(message(&mut subscription).await, "hello");
    }
}

#[tokio::test]
async fn where_nobody_serves_patience_ends() {
    let client = client(&free_addr().to_string(), |settings| settings.patience = Duration::from_millis(300));
    let error = client.publish("news", "").await.expect_err("nobody is there");
    assert!(matches!(&error, ClientError::NoServer { .. }) && error.is_unsent(), "{error}");
    let error = client.subscribe(["news"]).await.expect_err("nobody is there");
    assert!(
        matches!(&error, ClientError::NoServer { last, .. } if matches!(last.as_deref(), Some(ConnectError::Unreachable { .. }))),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_password_ends_everything_at_once() {
    for server in [Server::carillon(&[]), Server::redis()] {
        let operator = client(&server.addr.to_string(), |_| ());
        let mut subscription = operator.subscribe(["news"]).await.expect("needs no password");
        operator.request(["config", "set", "requirepass", "right"]).await.expect("may");
        let wrong = client(&format!("redis://:wrong@{}", server.addr), |_| ());
        let error = wrong.publish("news", "").await.expect_err("is wrong");
        assert!(matches!(error, ClientError::GivenUp(_)), "{error}");
        let error = wrong.subscribe(["news"]).await.expect_err("is wrong");
        assert!(matches!(error, ClientError::GivenUp(_)), "{error}");
        // One that has been let in before is told when it comes back.
        operator.request(["client", "kill", "type", "pubsub"]).await.expect("may");
        loop {
            match subscription.next().await.expect("does not end without an error") {
                Ok(Event::Interrupted(_) | Event::Unreachable(_)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break assert!(matches!(error, ClientError::GivenUp(_)), "{error}"),
            }
        }
        assert!(subscription.next().await.is_none());
    }
}

/// Those that may be subscribed to are, whatever is refused beside them.
#[tokio::test]
async fn a_channel_that_is_forbidden_is_refused_alone() {
    for server in [Server::carillon(&[]), Server::redis()] {
        let operator = client(&server.addr.to_string(), |_| ());
        let rules = ["acl", "setuser", "ann", "on", ">secret", "resetchannels", "&open.*", "+@all"];
        operator.request(rules).await.expect("may");
        let ann = client(&format!("redis://ann:secret@{}", server.addr), |_| ());
        let (open, forbidden) = tokio::join!(ann.subscribe(["open.1"]), ann.subscribe(["closed"]));
        let error = forbidden.expect_err("is forbidden");
        assert!(matches!(&error, ClientError::Request(_)) && error.to_string().contains("NOPERM"), "{error}");
        let mut open = open.expect("is allowed");
        operator.publish("open.1", "hello").await.expect("may");
        assert_eq!(message(&mut open).await, "hello");
    }
}

/// A subscription that is dropped while it is being made leaves nothing behind, and holds nobody up.
#[tokio::test]
async fn a_subscription_that_is_given_up_is_unsubscribed() {
    for server in [Server::carillon(&[]), Server::redis()] {
        let client = client(&server.addr.to_string(), |_| ());
        let mut kept = client.subscribe(["kept"]).await.expect("may");
        for number in 0..200 {
            // At each of its steps, by and by.
            let given_up = client.subscribe([format!("given up {number}")]);
            let _ = tokio::time::timeout(Duration::from_micros(number * 5), given_up).await;
            drop(client.subscribe(["short"]).await.expect("may"));
        }
        let counts = async {
            loop {
                let channels = client.request(["pubsub", "channels", "*"]).await.expect("may");
                if channels
                    == carillon_client::Value::Array(vec![carillon_client::Value::Bulk(b"kept".to_vec())])
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), counts).await.expect("only what is kept is left");
        client.publish("kept", "hello").await.expect("may");
        assert_eq!(message(&mut kept).await, "hello");
    }
}

#[tokio::test]
async fn a_slow_reader_blocks_or_drops_or_ends_as_it_was_told_to() {
    const MESSAGES: u32 = 500;
    let server = Server::carillon(&[]);
    let subscriber = client(&server.addr.to_string(), |_| ());
    let publisher = client(&server.addr.to_string(), |_| ());
    let open = |policy| {
        subscriber.subscription().channels(["news"]).slow_reader(policy).unread_bytes_max(20_000).open()
    };
    let mut dropping = open(SlowReader::Drop).await.expect("may");
    let mut ending = open(SlowReader::End).await.expect("may");
    let mut blocking = open(SlowReader::Block).await.expect("may");
    for number in 0..MESSAGES {
        publisher.publish("news", format!("{number:0200}")).await.expect("may");
    }
    for number in 0..MESSAGES {
        assert_eq!(message(&mut blocking).await, format!("{number:0200}"), "all come to the one that blocks");
    }
    let (mut taken, mut dropped) = (0, 0);
    while taken + dropped < u64::from(MESSAGES) {
        match dropping.next().await.expect("goes on").expect("has no error") {
            Event::Message(message) => {
                let number: u64 = String::from_utf8_lossy(&message.payload).parse().expect("a number");
                assert_eq!(number, taken + dropped, "what was dropped was counted, where it was");
                taken += 1;
            }
            Event::Gap(gap) => match gap.cause {
                GapCause::Overflow { dropped: count } => dropped += count,
                other => panic!("{other}"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert!(taken > 0 && dropped > 0, "{taken} and {dropped}");
    loop {
        match ending.next().await.expect("ends with an error") {
            Ok(_) => {}
            Err(error) => break assert!(matches!(error, ClientError::Overflow { .. }), "{error}"),
        }
    }
}

#[tokio::test]
async fn tls_is_spoken_with_whom_it_trusts_and_with_nobody_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let authority = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(path(name), params.self_signed(&key).expect("a certificate").pem()).expect("writes a file");
        Issuer::new(params, key)
    };
    let (ours, _) = (authority("ca.pem"), authority("other.pem"));
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    fs::write(path("cert.pem"), params.signed_by(&key, &ours).expect("a certificate").pem()).expect("writes");
    fs::write(path("key.pem"), key.serialize_pem()).expect("writes a file");
    let flag = |name: &str| path(name).display().to_string();
    let server = Server::carillon_tls_only(&[
        "--tls-only",
        "--tls-cert-file",
        &flag("cert.pem"),
        "--tls-key-file",
        &flag("key.pem"),
    ]);
    let trusting = |ca: &str| Network::with_tls(Tls::with_authorities(&path(ca)).expect("a PEM file"));
    let impatient = |settings: &mut ClientSettings| settings.patience = Duration::from_millis(500);
    let named = format!("rediss://localhost:{}", server.addr.port());

    let client = with(&named, trusting("ca.pem"), |_| ());
    let mut subscription = client.subscribe(["news"]).await.expect("is trusted");
    assert_eq!(client.publish("news", "hello").await.expect("is trusted"), 1);
    assert_eq!(message(&mut subscription).await, "hello");

    for (address, ca) in [(&named, "other.pem"), (&format!("rediss://{}", server.addr), "ca.pem")] {
        let error =
            with(address, trusting(ca), impatient).subscribe(["news"]).await.expect_err("is not trusted");
        let ClientError::NoServer { last, .. } = &error else { panic!("{error}") };
        assert!(matches!(last.as_deref(), Some(ConnectError::Tls { .. })), "{error}");
    }
}

/// A name that both want is no reason to refuse the other one, too.
#[tokio::test]
async fn who_shares_a_name_with_one_that_is_refused_is_not_refused() {
    let server = Server::carillon(&[]);
    let operator = client(&server.addr.to_string(), |_| ());
    let rules = ["acl", "setuser", "ann", "on", ">secret", "resetchannels", "&open.*", "+@all"];
    operator.request(rules).await.expect("may");
    for _ in 0..20 {
        let ann = client(&format!("redis://ann:secret@{}", server.addr), |_| ());
        let (refused, open) = tokio::join!(ann.subscribe(["open.1", "closed"]), ann.subscribe(["open.1"]));
        assert!(matches!(refused.expect_err("is forbidden"), ClientError::Request(_)));
        let mut open = open.expect("is allowed");
        operator.publish("open.1", "hello").await.expect("may");
        assert_eq!(message(&mut open).await, "hello");
    }
}

/// What the server has confirmed is no reason to doubt the server when a reader does not read.
#[tokio::test]
async fn a_subscription_behind_one_that_blocks_is_not_blamed_on_the_server() {
    let server = Server::carillon(&[]);
    let subscriber = client(&server.addr.to_string(), |settings| {
        settings.patience = Duration::from_millis(500);
        (settings.unread_bytes_max, settings.connection.unread_bytes_max) = (10_000, 10_000);
    });
    let _unread = subscriber.subscribe(["news"]).await.expect("may");
    let publisher = client(&server.addr.to_string(), |_| ());
    for _ in 0..100 {
        publisher.publish("news", [0; 1000]).await.expect("may");
    }
    let error =
        subscriber.subscribe(["weather"]).await.expect_err("its confirmation is behind what nobody reads");
    assert!(matches!(error, ClientError::NotConfirmed { .. }), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_without_a_server() {
    let client = client(&free_addr().to_string(), |_| ());
    for args in [&["multi"][..], &["Client", "REPLY", "off"], &["subscribe", "news"], &["auth", "x"], &[]] {
        let asked = tokio::time::timeout(Duration::from_secs(5), client.request(args)).await;
        let error = asked.expect("at once").expect_err("is none");
        assert!(matches!(error, ClientError::Request(_)) && error.is_unsent(), "{args:?}: {error}");
    }
    let nowhere = Client::with(Vec::new(), Arc::new(Network::default()), ClientSettings::default());
    let error = nowhere.subscribe(["news"]).await.expect_err("there is no server");
    assert!(error.to_string().contains("no address"), "{error}");
}

/// Times that cannot be added to the clock, or are none.
#[tokio::test]
async fn times_without_end_are_no_reason_to_panic() {
    let server = Server::carillon(&[]);
    let client = client(&format!("{},{}", free_addr(), server.addr), |settings| {
        (settings.patience, settings.backoff_min, settings.backoff_max) =
            (Duration::MAX, Duration::MAX, Duration::MAX);
        (settings.connection.connect_time_max, settings.connection.silence_time_max) =
            (Duration::MAX, Duration::ZERO);
    });
    let mut subscription = client.subscribe(["news"]).await.expect("may");
    client.publish("news", "hello").await.expect("may");
    assert_eq!(message(&mut subscription).await, "hello");
}

#[tokio::test]
async fn what_has_come_is_there_without_waiting_however_much_it_is() {
    const MESSAGES: usize = 1_000;
    let server = Server::carillon(&[]);
    let client = client(&server.addr.to_string(), |_| ());
    let mut subscription = client.subscribe(["news"]).await.expect("may");
    let mut last = client.subscribe(["last"]).await.expect("may");
    for _ in 0..MESSAGES {
        client.publish("news", "hello").await.expect("may");
    }
    client.publish("last", "over").await.expect("may");
    assert_eq!(message(&mut last).await, "over");
    let mut count = 0;
    while let Some(event) = subscription.next_now() {
        assert!(matches!(event, Ok(Event::Message(_))), "{event:?}");
        count += 1;
    }
    assert_eq!(count, MESSAGES);
}

/// Behind a loop that ends with `None` nobody would look.
#[test]
fn a_subscription_says_that_its_runtime_has_ended() {
    let server = Server::carillon(&[]);
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let (first, client) = (runtime(), client(&server.addr.to_string(), |_| ()));
    let mut subscription = first.block_on(client.subscribe(["news"])).expect("may");
    drop(first);
    let end = runtime().block_on(subscription.next());
    assert!(matches!(end, Some(Err(ClientError::Stopped))), "{end:?}");
    assert!(subscription.next_now().is_none(), "it is told once");
}
