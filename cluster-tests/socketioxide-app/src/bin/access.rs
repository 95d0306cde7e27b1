//! What redis-rs and fred do with TLS and passwords, for `compat/access.test.mjs` to judge:
//!
//! `access redis|fred hear|publish|retry rediss://USER:PASSWORD@HOST:PORT CA.pem`
//!
//! * `hear`: subscribes to `news.1` and publishes to it;
//! * `publish`: publishes to `other`, then to `news.2`;
//! * `retry`: connects as the library's users do who let it try again, until it is killed.
//!
//! Each outcome is a line on standard output: `ok TEXT`, or `error` and the library's own words.

use std::{error::Error, time::Duration};

use fred::{
    interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _},
    prelude::{Builder, Client, Config, ReconnectPolicy},
    rustls::{ClientConfig, RootCertStore},
};
use redis::{
    AsyncTypedCommands as _, Client as RedisClient, TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

type Outcome = Result<String, Box<dyn Error>>;

/// Larger than a record of TLS.
const PAYLOAD_BYTES: usize = 100_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [library, action, url, ca] = args.as_slice() else {
        return Err("usage: access redis|fred hear|publish|retry URL CA.pem".to_owned());
    };
    let outcomes = match (library.as_str(), action.as_str()) {
        ("redis", "hear") => vec![redis_hear(url, ca).await],
        ("redis", "publish") => redis_publish(url, ca).await,
        ("redis", "retry") => vec![redis_retry(url, ca).await],
        ("fred", "hear") => vec![fred_hear(url, ca).await],
        ("fred", "publish") => fred_publish(url, ca).await,
        ("fred", "retry") => vec![fred_retry(url, ca).await],
        _ => return Err(format!("not understood: {library} {action}")),
    };
    for outcome in outcomes {
        match outcome {
            Ok(text) => println!("ok {text}"),
            Err(error) => println!("error {}", told(&*error)),
        }
    }
    Ok(())
}

/// An error and what it says is behind it.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        text = format!("{text}: {behind}");
        source = behind.source();
    }
    text.replace('\n', " ")
}

fn redis_client(url: &str, ca: &str) -> Result<RedisClient, Box<dyn Error>> {
    let root_cert = Some(std::fs::read(ca)?);
    Ok(RedisClient::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })?)
}

async fn redis_connect(url: &str, ca: &str) -> Result<MultiplexedConnection, Box<dyn Error>> {
    let connecting = redis_client(url, ca)?;
    Ok(tokio::time::timeout(PATIENCE, connecting.get_multiplexed_async_connection()).await??)
}

async fn redis_hear(url: &str, ca: &str) -> Outcome {
    use futures_util::StreamExt as _;

    let mut publisher = redis_connect(url, ca).await?;
    let mut subscriber = redis_client(url, ca)?.get_async_pubsub().await?;
    subscriber.subscribe("news.1").await?;
    let receivers = publisher.publish("news.1", "x".repeat(PAYLOAD_BYTES)).await?;
    let heard = tokio::time::timeout(PATIENCE, subscriber.on_message().next()).await?;
    let heard = heard.ok_or("the subscription has ended")?;
    Ok(format!("{receivers} {}", heard.get_payload_bytes().len()))
}

async fn redis_publish(url: &str, ca: &str) -> Vec<Outcome> {
    let mut connection = match redis_connect(url, ca).await {
        Ok(connection) => connection,
        Err(error) => return vec![Err(error)],
    };
    let mut outcomes = Vec::new();
    for channel in ["other", "news.2"] {
        let published = connection.publish(channel, "x").await;
        outcomes.push(published.map(|receivers| receivers.to_string()).map_err(Into::into));
    }
    outcomes
}

/// The kind of connection that redis-rs tells its users to take when it shall come back by itself; with fewer attempts
/// before it says so than its usual six.
async fn redis_retry(url: &str, ca: &str) -> Outcome {
    let client = redis_client(url, ca)?;
    let config = ConnectionManagerConfig::new().set_number_of_retries(1);
    loop {
        let connecting = ConnectionManager::new_with_config(client.clone(), config.clone());
        let Err(error) = connecting.await else {
            return Err("it got in".into());
        };
        println!("error {}", told(&error));
    }
}

fn fred_client(url: &str, ca: &str, policy: ReconnectPolicy) -> Result<Client, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let mut config = Config::from_url(url)?;
    config.tls = Some(
        fred::types::config::TlsConnector::from(
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
        )
        .into(),
    );
    Ok(Builder::from_config(config).set_policy(policy).build()?)
}

/// fred's policy for those who want an error at once.
async fn fred_connect(url: &str, ca: &str) -> Result<Client, Box<dyn Error>> {
    let client = fred_client(url, ca, ReconnectPolicy::new_constant(1, 10))?;
    tokio::time::timeout(PATIENCE, client.init()).await??;
    Ok(client)
}

async fn fred_hear(url: &str, ca: &str) -> Outcome {
    let publisher = fred_connect(url, ca).await?;
    let subscriber = fred_connect(url, ca).await?;
    let mut messages = subscriber.message_rx();
    subscriber.subscribe("news.1").await?;
    let receivers: u64 = publisher.publish("news.1", "x".repeat(PAYLOAD_BYTES)).await?;
    let heard = tokio::time::timeout(PATIENCE, messages.recv()).await??;
    let heard: String = heard.value.convert()?;
    Ok(format!("{receivers} {}", heard.len()))
}

async fn fred_publish(url: &str, ca: &str) -> Vec<Outcome> {
    let client = match fred_connect(url, ca).await {
        Ok(client) => client,
        Err(error) => return vec![Err(error)],
    };
    let mut outcomes = Vec::new();
    for channel in ["other", "news.2"] {
        let published: Result<u64, _> = client.publish(channel, "x").await;
        outcomes.push(published.map(|receivers| receivers.to_string()).map_err(Into::into));
    }
    outcomes
}

/// Without end, a tenth of a second apart, as many users set it.
async fn fred_retry(url: &str, ca: &str) -> Outcome {
    let client = fred_client(url, ca, ReconnectPolicy::new_constant(0, 100))?;
    let mut errors = client.error_rx();
    client.connect();
    loop {
        let (error, _) = errors.recv().await?;
        println!("error {}", told(&error));
    }
}
