//! `carillon pub`.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufWriter, Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
};

use carillon_client::{Connection, Reply};
use clap::Args;
use tokio::sync::mpsc;

use super::{CliError, ServerSettings};

/// Longest payload, in bytes: Redis's bound on a string. Most servers are set to less.
const PAYLOAD_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Lines read ahead, and replies that may be outstanding: enough to fill a round trip.
const LINES_MAX: usize = 256;

/// Publish to a channel and print the number of receivers.
#[derive(Args, Clone, Debug)]
pub struct PublishSettings {
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerSettings,
    /// Publish to a shard channel (SPUBLISH).
    #[arg(long)]
    pub shard: bool,
    /// Publish each line of standard input as it comes; prints one number per line.
    #[arg(long, conflicts_with = "payload")]
    pub lines: bool,
    /// Channel to publish to.
    pub channel: OsString,
    /// What to publish; all of standard input if absent.
    #[arg(allow_negative_numbers = true)]
    pub payload: Option<OsString>,
}

/// Publishes what the settings say, in order.
pub async fn publish(settings: PublishSettings) -> Result<(), CliError> {
    // What is wrong with these is said before anything is read.
    settings.server.addresses()?;
    if settings.lines {
        return publish_lines(&settings.server.connect().await?, &settings).await;
    }
    let payload = match &settings.payload {
        Some(payload) => payload.as_bytes().to_vec(),
        // Read before connecting: a server may close a connection that is idle while someone types.
        None => read_payload(&mut io::stdin().lock())?,
    };
    let connection = settings.server.connect().await?;
    let receivers = send(&connection, &settings, &payload).await?.receivers().await?;
    writeln!(io::stdout(), "{receivers}").map_err(CliError::Output)
}

async fn send(
    connection: &Connection,
    settings: &PublishSettings,
    payload: &[u8],
) -> Result<Reply, CliError> {
    let verb: &[u8] = if settings.shard { b"spublish" } else { b"publish" };
    Ok(connection.send([verb, settings.channel.as_bytes(), payload]).await?)
}

/// Publishes and prints at the same time, so that a file of lines does not take a round trip for each.
async fn publish_lines(connection: &Connection, settings: &PublishSettings) -> Result<(), CliError> {
    let (read, mut lines) = mpsc::channel(LINES_MAX);
    let (sent, replies) = mpsc::channel(LINES_MAX);
    // A thread of its own, which ends with the process: a read of standard input cannot be cancelled.
    std::thread::spawn(move || read_lines(&mut io::stdin().lock(), &read));
    let publishing = async move {
        loop {
            // Whoever types slowly must not be the last to know.
            let line = tokio::select! {
                line = lines.recv() => line,
                lost = connection.closed() => return Err(lost.into()),
                () = sent.closed() => return Ok(()),
            };
            let Some(line) = line else { return Ok(()) };
            let reply = send(connection, settings, &line?).await?;
            if sent.send(reply).await.is_err() {
                return Ok(());
            }
        }
    };
    let printing = print_receivers(replies);
    // Also after an error: what has been sent is answered and printed first.
    let (published, printed) = tokio::join!(publishing, printing);
    printed.and(published)
}

async fn print_receivers(mut replies: mpsc::Receiver<Reply>) -> Result<(), CliError> {
    let mut output = BufWriter::new(io::stdout());
    while let Some(reply) = replies.recv().await {
        let receivers = reply.receivers().await;
        if let Ok(receivers) = &receivers {
            writeln!(output, "{receivers}").map_err(CliError::Output)?;
        }
        if replies.is_empty() || receivers.is_err() {
            output.flush().map_err(CliError::Output)?;
        }
        receivers?;
    }
    Ok(())
}

fn read_payload(input: &mut impl BufRead) -> Result<Vec<u8>, CliError> {
    let mut payload = Vec::new();
    input.take(PAYLOAD_BYTES_MAX + 1).read_to_end(&mut payload).map_err(CliError::Input)?;
    bounded(payload)
}

fn read_lines(input: &mut impl BufRead, lines: &mpsc::Sender<Result<Vec<u8>, CliError>>) {
    loop {
        let line = read_line(input);
        let is_last = line.is_err();
        let Some(line) = line.transpose() else { return };
        if lines.blocking_send(line).is_err() || is_last {
            return;
        }
    }
}

/// A line without the line feed that ends it; `None` at the end. All other bytes are the payload's.
fn read_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, CliError> {
    let mut line = Vec::new();
    input.take(PAYLOAD_BYTES_MAX + 1).read_until(b'\n', &mut line).map_err(CliError::Input)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    bounded(line).map(Some)
}

fn bounded(payload: Vec<u8>) -> Result<Vec<u8>, CliError> {
    if payload.len() as u64 > PAYLOAD_BYTES_MAX {
        return Err(CliError::PayloadTooLong(PAYLOAD_BYTES_MAX));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::read_line;

    #[test]
    fn lines_keep_all_but_their_line_feed() {
        let mut input = &b"a\n\nb\r\n\xff\0"[..];
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).expect("can be read") {
            lines.push(line);
        }
        assert_eq!(lines, [&b"a"[..], b"", b"b\r", b"\xff\0"]);
    }
}
