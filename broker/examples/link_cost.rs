//! What messages between nodes cost in QUIC alone: `cargo run --release -p carillon-broker --example link_cost`.
//!
//! One node sends batches of messages to two peers over links like those of the mesh, and each peer acknowledges every
//! batch with one frame, as the mesh does. There are no clients, no rings and no shards: what remains is quinn, TLS and
//! the kernel, and no broker that waits for its peers over QUIC can cost less. The processor time is that of both ends of
//! both links. It is the floor that `broker/src/mesh/DESIGN.md` compares the mesh with.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{error::Error, thread, time::Duration};

use bytes::{Bytes, BytesMut};
use carillon_broker::mesh::quic::{Channel, Credentials, EndpointKeys, EndpointSettings, Link, PeerEndpoint};
use carillon_proto::peer::{Ack, Hello, VERSION, VERSION_OLDEST, Welcome, encode_frame, encode_publish};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

const PEERS: usize = 2;
const PAYLOAD: [u8; 64] = [b'x'; 64];
const TIMES: EndpointSettings =
    EndpointSettings { idle: Duration::from_secs(5), keep_alive: Duration::from_secs(1) };

/// Messages in a batch, and batches that are measured.
const ROUNDS: [(u64, u64); 4] = [(1, 40_000), (16, 40_000), (48, 20_000), (256, 5_000)];

fn main() -> Fallible<()> {
    println!(
        "one node to {PEERS} peers, payloads of {} bytes; processor time of both ends of both links",
        PAYLOAD.len()
    );
    println!("{:>8} {:>12} {:>14}", "batch", "us per batch", "us per message");
    for (batch, rounds) in ROUNDS {
        let spent = measure(batch, rounds)?.as_secs_f64() * 1e6;
        let per_batch = spent / rounds as f64;
        println!("{batch:>8} {per_batch:>12.1} {:>14.2}", per_batch / batch as f64);
    }
    Ok(())
}

fn endpoint() -> Fallible<PeerEndpoint> {
    let credentials = Credentials::from_secret(b"a secret of this measurement only")?;
    let local = ([127, 0, 0, 1], 0).into();
    Ok(PeerEndpoint::bind(local, &credentials, &EndpointKeys::random()?, TIMES)?)
}

/// A runtime like that of a shard: one thread.
fn runtime() -> Fallible<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn measure(batch: u64, rounds: u64) -> Fallible<Duration> {
    let (send_addr, addrs) = std::sync::mpsc::channel();
    let peers: Vec<_> = (0..PEERS)
        .map(|_| {
            let send_addr = send_addr.clone();
            thread::spawn(move || -> Fallible<()> {
                runtime()?.block_on(async {
                    let endpoint = endpoint()?;
                    send_addr.send(endpoint.addr()?)?;
                    acknowledge(&endpoint, batch).await
                })
            })
        })
        .collect();
    let addrs: Vec<_> = addrs.iter().take(PEERS).collect();
    let spent = runtime()?.block_on(async {
        let endpoint = endpoint()?;
        let hello = Hello { version: VERSION, version_oldest: VERSION_OLDEST, ..Hello::default() };
        let mut links: Vec<(Link, Channel)> = Vec::new();
        for addr in addrs {
            let link = endpoint.dial(addr, &hello).await?;
            let channel = link.open().await?;
            links.push((link, channel));
        }
        let mut encoded = BytesMut::new();
        (0..batch).for_each(|_| encode_publish(false, b"channel", &PAYLOAD, &mut encoded));
        let encoded = encoded.freeze();
        // The first tenth is not measured: windows open, memory is touched for the first time.
        exchange(&mut links, &encoded, rounds / 10).await?;
        let start = processor_time();
        exchange(&mut links, &encoded, rounds).await?;
        let spent = processor_time().saturating_sub(start);
        links.iter().for_each(|(link, _)| link.close("measured"));
        endpoint.close().await;
        Fallible::Ok(spent)
    })?;
    for peer in peers {
        peer.join().map_err(|_| "a peer has panicked")??;
    }
    Ok(spent)
}

async fn exchange(links: &mut [(Link, Channel)], batch: &Bytes, rounds: u64) -> Fallible<()> {
    for _ in 0..rounds {
        for (_, channel) in &mut *links {
            channel.sender.write_chunk(batch.clone()).await?;
        }
        for (_, channel) in &mut *links {
            channel.receive::<Ack>().await?;
        }
    }
    Ok(())
}

/// One frame for each batch, until the other side closes.
async fn acknowledge(endpoint: &PeerEndpoint, batch: u64) -> Fallible<()> {
    // The first attempt is asked to show its address.
    let incoming = loop {
        let handshake = endpoint.accept().await.ok_or("the endpoint is closed")?;
        if let Ok(incoming) = handshake.await {
            break incoming;
        }
    };
    let link = incoming.welcome(Welcome { version: VERSION, ..Welcome::default() }).await?;
    let mut channel = link.accept().await?;
    let mut through = 0;
    loop {
        while channel.receiver.next_raw()?.is_some() {
            through += 1;
            if through % batch == 0 {
                let ack = Ack { through, receivers: vec![1; batch as usize] };
                channel.sender.write_chunk(encode_frame(&ack)).await?;
            }
        }
        if channel.receiver.read().await.is_err() {
            return Ok(());
        }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
