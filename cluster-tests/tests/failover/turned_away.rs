//! Servers that end the connection, for a name or for none, and those who have nothing to do with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use carillon_client::{ClientError, ClientSettings, Event};
use carillon_cluster_tests::{Server, free_addr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::refusals::{client, message};

/// The node ends the connection for such a name. Nobody else's subscription is to pay for it for ever.
#[tokio::test]
async fn a_name_for_which_the_connection_ends_is_given_up_and_the_others_go_on() {
    let server = Server::carillon(&["--patterns-max", "10"]);
    let client = client(&server.addr.to_string(), |_| ());
    let mut innocent = client.subscribe(["news"]).await.expect("may");
    let too_long = client.subscribe(["x".repeat(20 * 1024)]).await;
    let too_many = client.psubscribe((0..20).map(|number| format!("{number}*"))).await;
    for refused in [too_long, too_many] {
        let error = refused.expect_err("the node does not take it");
        assert!(matches!(error, ClientError::TurnedAway(_) | ClientError::Request(_)), "{error}");
    }
    let mut another = client.subscribe(["weather"]).await.expect("may");
    client.publish("news", "hello").await.expect("may");
    client.publish("weather", "rain").await.expect("may");
    assert_eq!(message(&mut another).await, "rain");
    let mut others = 0;
    let heard = loop {
        match innocent.next().await.expect("goes on").expect("has no error") {
            Event::Message(message) => break message.payload,
            Event::Interrupted(_) | Event::Resumed => others += 1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(heard, "hello");
    assert!(others <= 16, "{others} events of lost connections");
}

/// Many that are opened together with one that the node ends the connection for, of which one shares a name with it.
#[tokio::test]
async fn only_the_subscription_that_is_turned_away_is_given_up() {
    let server = Server::carillon(&[]);
    let client = client(&server.addr.to_string(), |_| ());
    let too_long = "x".repeat(20 * 1024);
    let open = |names: [String; 2]| {
        let client = client.clone();
        tokio::spawn(async move { client.subscribe(names).await })
    };
    let guilty = open(["shared".to_owned(), too_long]);
    let innocent: Vec<_> =
        (0..20).map(|number| open(["shared".to_owned(), format!("own {number}")])).collect();
    let error = guilty.await.expect("runs").expect_err("the node does not take it");
    assert!(matches!(error, ClientError::TurnedAway(_)), "{error}");
    let mut opened = Vec::new();
    for one in innocent {
        opened.push(one.await.expect("runs").expect("has done nothing"));
    }
    client.publish("shared", "hello").await.expect("may");
    for subscription in &mut opened {
        loop {
            match subscription.next().await.expect("goes on").expect("has no error") {
                Event::Message(message) => break assert_eq!(message.payload, "hello"),
                Event::Interrupted(_) | Event::Resumed => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A subscription that was given up while nobody served has nothing to do with the next one.
#[tokio::test]
async fn an_outage_that_is_over_delays_no_new_subscription() {
    let addr = free_addr();
    let patience = |settings: &mut ClientSettings| {
        settings.patience = Duration::from_secs(3);
        (settings.backoff_min, settings.backoff_max) = (Duration::from_millis(200), Duration::from_secs(60));
    };
    let client = client(&addr.to_string(), patience);
    client.subscribe(["news"]).await.expect_err("nobody is there");
    let listener = tokio::net::TcpListener::bind(addr).await.expect("is still free");
    let opening = client.subscribe(["news"]);
    let asked = async { tokio::time::timeout(Duration::from_secs(1), listener.accept()).await };
    tokio::select! {
        asked = asked => drop(asked.expect("at once").expect("accepts")),
        opened = opening => panic!("it is no server: {opened:?}"),
    }
}

/// It greets, and closes: nothing is gained by asking it as often as one can.
#[tokio::test]
async fn a_server_that_greets_and_closes_is_asked_with_growing_pauses() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let addr = listener.local_addr().expect("an address");
    let accepted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.expect("accepts");
            count.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(b"%1\r\n$5\r\nproto\r\n:3\r\n").await;
        }
    });
    let impatient = |settings: &mut ClientSettings| settings.patience = Duration::from_secs(2);
    let (subscriber, publisher) =
        (client(&addr.to_string(), impatient), client(&addr.to_string(), impatient));
    let (subscribed, published) = tokio::join!(subscriber.subscribe(["news"]), publisher.publish("news", ""));
    let error = subscribed.expect_err("the connection is closed each time");
    assert!(matches!(error, ClientError::NoServer { .. } | ClientError::NotConfirmed { .. }), "{error}");
    let error = published.expect_err("the connection is closed each time");
    assert!(matches!(error, ClientError::Unanswered(_) | ClientError::NoServer { .. }), "{error}");
    let accepted = accepted.load(Ordering::Relaxed);
    assert!((5..24).contains(&accepted), "{accepted} connections within two seconds");
}
