//! A program that is its own broker.
//!
//!     cargo run --example embedded

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use carillon_broker::{Broker, Settings};
use carillon_client::Event;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = tempfile::tempdir()?;
    let any_port = ([127, 0, 0, 1], 0);
    let settings = Settings::default().client_addr(any_port).admin_addr(any_port).data_dir(data.path());
    let broker = Broker::start(settings).await?;
    broker.ready().await?;

    let client = broker.client();
    let mut news = client.subscribe(["news"]).await?;
    let receivers = client.publish("news", "hello").await?;
    println!("{receivers} received it");
    match news.next().await.ok_or("the subscription has ended")?? {
        Event::Message(message) => println!("{}", String::from_utf8_lossy(&message.payload)),
        other => println!("{other:?}"),
    }

    // Redis clients of other programs are welcome, too.
    println!("redis://{}", broker.client_addr().ok_or("there is no port without TLS")?);
    broker.shutdown().await?;
    Ok(())
}
