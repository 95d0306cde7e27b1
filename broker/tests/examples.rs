//! The examples, run as a reader runs them.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

const PATIENCE: Duration = Duration::from_secs(60);

/// Beside this test's own folder.
fn example(name: &str) -> Command {
    let own = std::env::current_exe().expect("a test has a path");
    let path: PathBuf = own.ancestors().nth(2).expect("in target/<profile>/deps").join("examples").join(name);
    assert!(path.exists(), "{} is not built; run the tests of the whole package", path.display());
    Command::new(path)
}

fn printed(name: &str) -> String {
    let output = example(name).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_minimal_example_says_hello() {
    let lines = printed("embedded");
    assert!(lines.starts_with("1 received it\nhello\nredis://127.0.0.1:"), "{lines}");
}

#[test]
fn the_example_of_a_cluster_plays_on() {
    let lines = printed("embedded_cluster");
    let expected = "three nodes are one\nfrom the second node\nwith the third node gone, to 1 receiver\n";
    assert_eq!(lines, expected);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Page = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn page(url: &str, room: &str) -> Page {
    let url = format!("{}rooms/{room}", url.replace("http", "ws"));
    let mut page = tokio_tungstenite::connect_async(url).await.expect("the instance upgrades").0;
    assert_eq!(line(&mut page).await, "* you are in");
    page
}

async fn line(page: &mut Page) -> String {
    let next = tokio::time::timeout(PATIENCE, page.next()).await.expect("in time");
    next.expect("goes on").expect("goes on").into_text().expect("text").to_string()
}

#[tokio::test]
async fn the_chat_shares_its_rooms_between_two_instances() {
    let mut chat = example("embedded_chat");
    let mut chat = Running(chat.arg("0").stdout(Stdio::piped()).spawn().expect("runs"));
    let lines = BufReader::new(chat.0.stdout.take().expect("is piped")).lines();
    let urls: Vec<String> = lines.take(2).map(|line| line.expect("text")).collect();
    assert_eq!(urls.len(), 2, "the chat ended early");
    let (mut ann, mut bob) = (page(&urls[0], "lobby").await, page(&urls[1], "lobby").await);
    let mut elsewhere = page(&urls[1], "attic").await;
    ann.send(Message::text("ann: hello")).await.expect("is sent");
    assert_eq!([line(&mut ann).await, line(&mut bob).await], ["ann: hello", "ann: hello"]);
    bob.send(Message::text("bob: hi")).await.expect("is sent");
    assert_eq!([line(&mut ann).await, line(&mut bob).await], ["bob: hi", "bob: hi"]);
    elsewhere.send(Message::text("alone")).await.expect("is sent");
    assert_eq!(line(&mut elsewhere).await, "alone", "and nothing of the other room");
}
