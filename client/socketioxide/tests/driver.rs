//! The driver on a node in this process, and on one that goes and comes back.

use std::{net::SocketAddr, path::Path, time::Duration};

use carillon_broker::{Broker, config::Settings};
use carillon_client::{Client, GapCause};
use carillon_socketioxide::CarillonDriver;
use futures_util::StreamExt as _;
use socketioxide_redis::drivers::{ChanItem, Driver as _, MessageStream};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);

async fn start(data: &Path, client_addr: SocketAddr) -> Broker {
    let settings =
        Settings::default().client_addr(client_addr).admin_addr(([127, 0, 0, 1], 0)).data_dir(data);
    Broker::start(settings).await.expect("starts")
}

async fn next(stream: &mut MessageStream<ChanItem>) -> ChanItem {
    tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time").expect("goes on")
}

#[tokio::test]
async fn instances_hear_each_other_and_are_counted_until_they_unsubscribe() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = start(folder.path(), ([127, 0, 0, 1], 0).into()).await;
    let over_loopback = Client::new(&broker.client_addr().expect("a port").to_string()).expect("an address");
    let (one, other) = (CarillonDriver::new(broker.client()), CarillonDriver::new(over_loopback));
    let mut heard = Vec::new();
    for driver in [&one, &other] {
        heard.push(driver.subscribe("c".to_owned(), 16).await.expect("subscribes"));
    }
    assert_eq!((one.num_serv("c").await, one.num_serv("d").await).0.expect("counts"), 2);
    other.publish("c".to_owned(), b"hello".to_vec()).await.expect("publishes");
    for stream in &mut heard {
        assert_eq!(next(stream).await, ("c".to_owned(), b"hello".to_vec()));
    }
    one.unsubscribe("c".to_owned()).await.expect("unsubscribes");
    let counted = async {
        while other.num_serv("c").await.expect("counts") != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("in time");
    assert!(heard[0].next().await.is_none(), "and its stream has ended");
    assert_eq!((one.gaps(), other.gaps()), (0, 0));
    broker.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn what_may_be_missing_is_told_by_channel() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = start(folder.path(), ([127, 0, 0, 1], 0).into()).await;
    let addr = broker.client_addr().expect("a port");
    let (tell, mut told) = mpsc::unbounded_channel();
    let driver = CarillonDriver::new(Client::new(&addr.to_string()).expect("an address"));
    let driver = driver.on_gap(move |channel, gap| {
        let _ = tell.send((channel.to_owned(), matches!(gap.cause, GapCause::Forgotten(_))));
    });
    let mut heard = driver.subscribe("c".to_owned(), 16).await.expect("subscribes");
    driver.publish("c".to_owned(), b"1".to_vec()).await.expect("publishes");
    assert_eq!(next(&mut heard).await.1, b"1");
    broker.shutdown().await.expect("ends in order");
    // Another life of the node: what was published in the first is gone with it, and nobody knows what it was.
    let broker = start(folder.path(), addr).await;
    let gap = tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("a gap");
    assert_eq!((gap, driver.gaps()), (("c".to_owned(), true), 1));
    driver.publish("c".to_owned(), b"2".to_vec()).await.expect("publishes");
    assert_eq!(next(&mut heard).await.1, b"2");
    broker.shutdown().await.expect("ends in order");
}

#[tokio::test]
async fn an_instance_that_is_deaf_for_good_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = start(folder.path(), ([127, 0, 0, 1], 0).into()).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let driver = CarillonDriver::new(broker.client()).on_end(move |channel, error| {
        let _ = tell.send((channel.to_owned(), error.to_string()));
    });
    let mut heard = driver.subscribe("c".to_owned(), 16).await.expect("subscribes");
    broker.shutdown().await.expect("ends in order");
    let (channel, error) =
        tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("an end");
    assert_eq!(channel, "c");
    assert!(error.contains("has ended"), "{error}");
    assert!(heard.next().await.is_none());
}
