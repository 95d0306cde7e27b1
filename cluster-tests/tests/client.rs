//! The client crate against real servers: what is promised when things go wrong.

use std::time::Duration;

use carillon_client::{
    Address, Connection, ConnectionLost, ConnectionSettings, LossCause, Protocol, RequestError,
    SubscriptionKind, Value,
};
use carillon_cluster_tests::Server;

/// Short enough for a test, long enough for a busy machine.
const SILENCE: Duration = Duration::from_secs(1);

/// Soon takes a silent server for lost.
fn impatient() -> ConnectionSettings {
    let mut settings = ConnectionSettings::default();
    settings.silence_time_max = SILENCE;
    settings
}

async fn open(server: &Server, settings: ConnectionSettings) -> Connection {
    let address: Address = server.addr.to_string().parse().expect("an address");
    Connection::open(&address, settings).await.expect("the server accepts")
}

fn without_hello() -> Server {
    Server::redis_with(&["--rename-command", "HELLO", ""])
}

#[tokio::test]
async fn one_resp3_connection_publishes_and_subscribes() {
    for server in [Server::redis(), Server::carillon(&[])] {
        let connection = open(&server, ConnectionSettings::default()).await;
        assert_eq!(connection.protocol(), Protocol::Resp3);
        let mut subscriber = connection.subscribe(["a", "b"]).await.expect("may subscribe");
        subscriber.add(SubscriptionKind::Shard, ["s"]).await.expect("may subscribe");
        subscriber.remove(SubscriptionKind::Channel, ["b"]).await.expect("may unsubscribe");
        let (a, b, s, ping) = tokio::join!(
            connection.publish("a", "1"),
            connection.publish("b", "2"),
            connection.spublish("s", "3"),
            connection.request(["ping"]),
        );
        let counts = [a, b, s].map(|receivers| receivers.expect("may publish"));
        assert_eq!((counts, ping.expect("may ping")), ([1, 0, 1], Value::Simple("PONG".into())));
        assert_eq!(subscriber.next().await.expect("is connected").payload, "1");
        assert_eq!(subscriber.next().await.expect("is connected").payload, "3");
    }
}

#[tokio::test]
async fn a_subscribed_resp2_connection_says_that_it_takes_no_requests() {
    let server = without_hello();
    let connection = open(&server, ConnectionSettings::default()).await;
    assert_eq!(
        (connection.protocol(), connection.publish("a", "").await.expect("may")),
        (Protocol::Resp2, 0)
    );
    let subscriber = connection.subscribe(["a"]).await.expect("may subscribe");
    let error = connection.publish("a", "").await.expect_err("is subscribed");
    assert!(matches!(error, RequestError::OnlySubscriptions { .. }), "{error}");
    drop(subscriber);
    // A subscriber that is gone is unsubscribed; a new one is served behind that, and gets its own only.
    let mut subscriber = connection.psubscribe(["b*"]).await.expect("the first is gone");
    let publisher = open(&server, ConnectionSettings::default()).await;
    assert_eq!(publisher.publish("a", "old").await.expect("may publish"), 0);
    assert_eq!(publisher.publish("b", "new").await.expect("may publish"), 1);
    assert_eq!(subscriber.next().await.expect("is connected").payload, "new");
}

#[tokio::test]
async fn requests_that_cannot_be_are_refused_before_they_are_sent() {
    let server = Server::carillon(&[]);
    let connection = open(&server, ConnectionSettings::default()).await;
    let subscriber = connection.subscribe(["a"]).await.expect("may subscribe");
    let errors = [
        connection.request(["Subscribe", "b"]).await.expect_err("is no request"),
        connection.request([] as [&str; 0]).await.expect_err("is empty"),
        connection.subscribe(["b"]).await.expect_err("has a subscriber"),
        connection.request(["nosuch"]).await.expect_err("is unknown"),
    ];
    assert!(
        matches!(
            &errors,
            [
                RequestError::NotARequest { .. },
                RequestError::Empty,
                RequestError::AlreadySubscribed { .. },
                RequestError::Refused { .. },
            ]
        ),
        "{errors:?}"
    );
    drop(subscriber);
}

#[tokio::test]
async fn the_end_of_a_server_reaches_everyone_behind_what_came_before() {
    let mut server = Server::carillon(&[]);
    let connection = open(&server, ConnectionSettings::default()).await;
    let mut subscriber = connection.subscribe(["a"]).await.expect("may subscribe");
    assert_eq!(connection.publish("a", "last").await.expect("may publish"), 1);
    server.kill();
    connection.closed().await;
    assert_eq!(subscriber.next().await.expect("came before the end").payload, "last");
    for _ in 0..2 {
        let lost: ConnectionLost = subscriber.next().await.expect_err("there is no end without a reason");
        assert!(matches!(lost.cause, LossCause::Closed | LossCause::Io(_)), "{lost}");
    }
    let error = connection.publish("a", "").await.expect_err("is lost");
    assert!(matches!(error, RequestError::Lost(_)), "{error}");
}

/// A stopped process keeps its connections and answers nothing: only a question finds out.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    for server in [without_hello(), Server::carillon(&[])] {
        let connection = open(&server, impatient()).await;
        let mut subscriber = connection.subscribe(["a"]).await.expect("may subscribe");
        // Idle for longer than the bound, and answered by PONG meanwhile.
        tokio::time::timeout(SILENCE * 2, subscriber.next()).await.expect_err("an idle connection lives");
        server.signal("STOP");
        let lost = subscriber.next().await.expect_err("is silent");
        assert!(matches!(lost.cause, LossCause::Silent(_)), "{lost}");
        server.signal("CONT");
    }
}

/// Whoever publishes where it should read would wait for itself.
#[tokio::test]
async fn replies_behind_unread_messages_end_in_an_error_and_not_in_a_deadlock() {
    let server = Server::carillon(&[]);
    let mut settings = impatient();
    settings.unread_bytes_max = 1000;
    let connection = open(&server, settings).await;
    let mut subscriber = connection.subscribe(["a"]).await.expect("may subscribe");
    let error = loop {
        if let Err(error) = connection.publish("a", [0; 100]).await {
            break error;
        }
    };
    let RequestError::Lost(lost) = &error else { panic!("{error}") };
    assert!(matches!(lost.cause, LossCause::SubscriberTooSlow(_)), "{lost}");
    assert!(subscriber.next().await.is_ok(), "what was queued can still be read");
}

/// A subscriber may rest for longer than any bound: the messages wait, here and at the server.
#[tokio::test]
async fn a_subscriber_that_rests_misses_nothing() {
    const MESSAGES: u32 = 2000;
    let server = Server::carillon(&[]);
    let mut settings = impatient();
    settings.unread_bytes_max = 1000;
    let mut subscriber = open(&server, settings).await.subscribe(["a"]).await.expect("may subscribe");
    let publisher = open(&server, ConnectionSettings::default()).await;
    for number in 0..MESSAGES {
        publisher.publish("a", number.to_string()).await.expect("may publish");
    }
    // What is waited for here is that time passes.
    tokio::time::sleep(SILENCE * 2).await;
    for number in 0..MESSAGES {
        assert_eq!(subscriber.next().await.expect("is connected").payload, number.to_string());
    }
}
