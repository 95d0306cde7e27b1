//! `carillon sub`.

use std::{
    ffi::OsString,
    io::{self, BufWriter, Stdout, Write as _},
    os::unix::ffi::OsStrExt as _,
    sync::Arc,
};

use carillon_client::{
    Address, Client, ClientError, ClientSettings, Event, Message, Subscription, SubscriptionKind,
};
use clap::Args;
use humantime::format_rfc3339_millis;

use super::{CliError, ServerSettings, line, tell};

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
    let addresses = settings.server.addresses()?;
    let names: Vec<String> = addresses.iter().map(Address::to_string).collect();
    let at = names.join(",");
    // Whoever has just typed the address wants to know at once what is wrong with it.
    drop(settings.server.connect().await?);
    let client =
        Client::with(addresses, Arc::new(settings.server.trust.network()?), ClientSettings::default());
    let kind = match (settings.pattern, settings.shard) {
        (true, _) => SubscriptionKind::Pattern,
        (_, true) => SubscriptionKind::Shard,
        _ => SubscriptionKind::Channel,
    };
    let names = settings.names.iter().map(|name| name.as_bytes());
    let mut subscription = client.subscription().names(kind, names).open().await?;
    tell(NAME, format_args!("subscribed at {at}"));
    let mut printer = Printer::new(&settings);
    loop {
        match printer.print_messages(&mut subscription).await? {
            None => return Ok(()),
            Some(Event::Interrupted(lost)) if settings.no_reconnect => return Err(lost.into()),
            Some(Event::Interrupted(lost)) => tell(NAME, format_args!("{lost}; connecting again")),
            Some(Event::Unreachable(error)) => tell(NAME, format_args!("{error}; trying again")),
            Some(Event::Resumed) => tell(NAME, format_args!("subscribed again at {at}; nothing was missed")),
            Some(Event::Gap(gap)) => {
                let (from, to) = (format_rfc3339_millis(gap.since), format_rfc3339_millis(gap.until));
                let missed = format_args!("messages from {from} to {to} may have been missed");
                tell(NAME, format_args!("subscribed again at {at}; {missed}"));
            }
            Some(_) => {}
        }
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

    /// Prints until something else comes, which it returns; `None` when enough have been printed.
    async fn print_messages(&mut self, subscription: &mut Subscription) -> Result<Option<Event>, CliError> {
        loop {
            let event = if let Some(event) = subscription.next_now() {
                event
            } else {
                // Nothing more has arrived: now whoever reads the output shall have it.
                self.output.flush().map_err(CliError::Output)?;
                subscription.next().await.unwrap_or(Err(ClientError::Stopped))
            };
            let message = match event? {
                Event::Message(message) => message,
                other => {
                    self.output.flush().map_err(CliError::Output)?;
                    return Ok(Some(other));
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
