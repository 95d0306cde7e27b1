//! Three nodes in one process that are one broker; one of them goes, and the music plays on.
//!
//!     cargo run --example embedded_cluster

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod common;

use carillon_broker::Broker;
use carillon_client::{Event, Subscription};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut nodes = Vec::new();
    for settings in common::cluster(3, folder.path())? {
        nodes.push(Broker::start(settings).await?);
    }
    for node in &nodes {
        node.ready().await?;
    }
    println!("three nodes are one");

    let mut news = nodes[0].client().subscribe(["news"]).await?;
    nodes[1].client().publish("news", "from the second node").await?;
    println!("{}", next(&mut news).await?);

    nodes.remove(2).shutdown().await?;
    let receivers = nodes[1].client().publish("news", "with the third node gone").await?;
    println!("{}, to {receivers} receiver", next(&mut news).await?);

    for node in nodes {
        node.shutdown().await?;
    }
    Ok(())
}

/// The next message. What may be missing is said in the stream, too.
async fn next(news: &mut Subscription) -> Result<String, Box<dyn std::error::Error>> {
    loop {
        match news.next().await.ok_or("the subscription has ended")?? {
            Event::Message(message) => return Ok(String::from_utf8_lossy(&message.payload).into_owned()),
            other => println!("{other:?}"),
        }
    }
}
