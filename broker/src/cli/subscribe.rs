//! `carillon sub`.

use std::{
    ffi::OsString,
    io::{self, BufWriter, Stdout, Write as _},
    os::unix::ffi::OsStrExt as _,
    time::{Instant, SystemTime},
};

use carillon_client::{Address, ConnectionLost, Message, RequestError, Subscriber, SubscriptionKind};
use clap::Args;
use humantime::format_rfc3339_millis;

use super::{
    CliError, ServerSettings,
    backoff::{self, Backoff},
    connect, line, tell,
};

const NAME: &str = "sub";

/// Subscribe to channels and print messages, one a line, until ctrl-C.
#[derive(Args, Clone, Debug)]
pub struct SubscribeSettings {
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerSettings,
    /// The names are patterns (PSUBSCRIBE).
    #[arg(long, conflicts_with = "shard")]
    pub pattern: bool,
    /// The names are shard channels (SSUBSCRIBE).
    #[arg(long)]
    pub shard: bool,
    /// Print JSON: an object with channel and payload, or with the payload in base64 if it is not UTF-8.
    #[arg(long)]
    pub json: bool,
    /// End after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End with exit code 1 when the connection is lost, instead of connecting again.
    #[arg(long)]
    pub no_reconnect: bool,
    /// What to subscribe to.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<OsString>,
}

/// Prints messages until there are as many as asked for, or an error ends it.
pub async fn subscribe(settings: SubscribeSettings) -> Result<(), CliError> {
    let address = settings.server.address()?;
    let mut printer = Printer::new(&settings);
    let mut subscriber = subscriber(&address, &settings).await?;
    tell(NAME, format_args!("subscribed at {address}"));
    let mut backoff = Backoff::new();
    loop {
        let since = Instant::now();
        let Some(lost) = printer.print_all(&mut subscriber).await? else { return Ok(()) };
        if settings.no_reconnect {
            return Err(lost.into());
        }
        tell(NAME, format_args!("{lost}; connecting again"));
        // A server that ends every connection at once must not be asked ever faster.
        if since.elapsed() > backoff::LONGEST {
            backoff = Backoff::new();
        }
        subscriber = subscribe_again(&address, &settings, &mut backoff).await?;
        let (from, to) = (format_rfc3339_millis(lost.last_heard), format_rfc3339_millis(SystemTime::now()));
        tell(
            NAME,
            format_args!("subscribed again at {address}; messages from {from} to {to} may have been missed"),
        );
    }
}

async fn subscriber(address: &Address, settings: &SubscribeSettings) -> Result<Subscriber, CliError> {
    let kind = match (settings.pattern, settings.shard) {
        (true, _) => SubscriptionKind::Pattern,
        (_, true) => SubscriptionKind::Shard,
        _ => SubscriptionKind::Channel,
    };
    let names = settings.names.iter().map(|name| name.as_bytes());
    Ok(connect(address).await?.subscriber(kind, names).await?)
}

async fn subscribe_again(
    address: &Address,
    settings: &SubscribeSettings,
    backoff: &mut Backoff,
) -> Result<Subscriber, CliError> {
    let mut told = String::new();
    loop {
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        tokio::time::sleep(backoff.wait(random)).await;
        match subscriber(address, settings).await {
            Ok(subscriber) => return Ok(subscriber),
            Err(error) if is_permanent(&error) => return Err(error),
            // The same reason is said once, however long it lasts.
            Err(error) => {
                let reason = error.to_string();
                if reason != told {
                    tell(NAME, format_args!("{reason}; trying again"));
                    told = reason;
                }
            }
        }
    }
}

/// Whether trying again is of no use.
fn is_permanent(error: &CliError) -> bool {
    match error {
        CliError::Connect(error) => error.is_permanent(),
        CliError::Request(RequestError::Refused { reply, .. }) => {
            ["NOPERM", "NOAUTH", "ERR"].iter().any(|code| reply.starts_with(code))
        }
        _ => false,
    }
}

struct Printer {
    output: BufWriter<Stdout>,
    form: fn(&Message) -> String,
    left: Option<u64>,
}

impl Printer {
    fn new(settings: &SubscribeSettings) -> Self {
        let form = if settings.json { line::json } else { line::text };
        Self { output: BufWriter::new(io::stdout()), form, left: settings.count }
    }

    /// Prints until the connection is lost, which it returns; `None` when enough have been printed.
    async fn print_all(&mut self, subscriber: &mut Subscriber) -> Result<Option<ConnectionLost>, CliError> {
        loop {
            let message = if let Some(message) = subscriber.next_now() {
                message
            } else {
                // Nothing more has arrived: now whoever reads the output shall have it.
                self.output.flush().map_err(CliError::Output)?;
                match subscriber.next().await {
                    Ok(message) => message,
                    Err(lost) => return Ok(Some(lost)),
                }
            };
            self.output.write_all((self.form)(&message).as_bytes()).map_err(CliError::Output)?;
            if let Some(left) = &mut self.left {
                *left -= 1;
                if *left == 0 {
                    self.output.flush().map_err(CliError::Output)?;
                    return Ok(None);
                }
            }
        }
    }
}
