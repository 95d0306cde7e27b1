//! The command line: `--driver redis|fred --broker redis://127.0.0.1:6379`.

/// Which client library carries the adapter's messages. Both drivers speak RESP3 only.
pub(crate) enum Driver {
    /// redis-rs: plain channels.
    Redis,
    /// fred: shard channels.
    Fred,
}

pub(crate) struct Options {
    pub(crate) driver: Driver,
    /// The broker as a `redis://` URL.
    pub(crate) broker: String,
}

impl Options {
    pub(crate) fn from_args() -> Result<Self, String> {
        let mut driver = None;
        let mut broker = None;
        let mut args = std::env::args().skip(1);
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match (flag.as_str(), value.as_str()) {
                ("--driver", "redis") => driver = Some(Driver::Redis),
                ("--driver", "fred") => driver = Some(Driver::Fred),
                ("--broker", _) => broker = Some(value),
                _ => return Err(format!("not understood: {flag} {value}")),
            }
        }
        Ok(Self {
            driver: driver.ok_or("--driver redis or --driver fred is missing")?,
            broker: broker.ok_or("--broker redis://HOST:PORT is missing")?,
        })
    }
}
