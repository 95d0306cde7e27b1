//! CARILLON SUBSCRIBE as it goes over the wire, for clients in other languages.

use carillon_cluster_tests::{Server, Wire, command};
use carillon_proto::resp::Value;

fn text(value: &Value) -> String {
    match value {
        Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{other:?} is no string"),
    }
}

/// The next push with this head. Positions may come at any time.
fn push(wire: &mut Wire, head: &str) -> Vec<Value> {
    loop {
        match wire.receive() {
            Value::Push(items) if text(&items[0]) == head => return items,
            Value::Push(items) if text(&items[0]) == "carillon-position" => {}
            other => panic!("{other:?} where {head} was expected"),
        }
    }
}

/// The next reply.
fn reply(wire: &mut Wire) -> Value {
    loop {
        match wire.receive() {
            Value::Push(items) if text(&items[0]) == "carillon-position" => {}
            other => return other,
        }
    }
}

/// A connection that speaks RESP3.
fn connect(server: &Server) -> Wire {
    let mut wire = Wire::connect(server.addr);
    assert!(matches!(wire.ask(&["hello", "3"]), Value::Map(_)));
    wire
}

/// Epoch, origin and number of a position that names one origin.
fn position(items: &[Value]) -> (String, String, i64) {
    match items {
        [_, Value::Integer(epoch), Value::Array(seen)] => match &seen[..] {
            [origin, Value::Integer(number)] => (epoch.to_string(), text(origin), *number),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_goes_on_where_it_was_and_gets_each_message_once() {
    for shards in ["1", "3"] {
        let server = Server::carillon(&["--shards", shards]);
        let mut publisher = Wire::connect(server.addr);
        let mut first = connect(&server);
        let words = [
            "carillon",
            "subscribe",
            "channels",
            "2",
            "a",
            "b",
            "patterns",
            "1",
            "a*",
            "shardchannels",
            "1",
            "s",
        ];
        first.send(&command(&words));
        let (epoch, origin, number) = position(&push(&mut first, "carillon-position"));
        assert_eq!((reply(&mut first), number), (Value::Simple("OK".into()), 0));
        assert_eq!(
            publisher.ask(&["publish", "a", "1"]),
            Value::Integer(2),
            "by the channel and by the pattern"
        );
        assert_eq!(publisher.ask(&["publish", "elsewhere", "2"]), Value::Integer(0));
        assert_eq!(publisher.ask(&["spublish", "s", "3"]), Value::Integer(1));
        let message = push(&mut first, "carillon-message");
        assert_eq!((text(&message[1]), &message[2]), (origin.clone(), &Value::Integer(1)));
        assert_eq!(message[3], Value::Array(vec![Value::Null, Value::Bulk(b"a*".to_vec())]), "once, by both");
        assert_eq!((text(&message[4]), text(&message[5])), ("a".into(), "1".into()));
        let message = push(&mut first, "carillon-smessage");
        assert_eq!((&message[2], text(&message[5])), (&Value::Integer(3), "3".into()));
        assert!(first.die());
        drop(first);

        publisher.ask(&["publish", "b", "4"]);
        let mut second = connect(&server);
        let from = |number: &'static str| {
            let mut words =
                vec!["carillon", "subscribe", "complete", "position", &epoch, "1", &origin, number];
            words.extend(["channels", "2", "a", "b"]);
            command(&words)
        };
        second.send(&from("1"));
        let message = push(&mut second, "carillon-message");
        assert_eq!((&message[2], text(&message[5])), (&Value::Integer(4), "4".into()));
        let (_, _, number) = position(&push(&mut second, "carillon-position"));
        assert_eq!((reply(&mut second), number), (Value::Simple("OK".into()), 4));
        publisher.ask(&["publish", "b", "5"]);
        assert_eq!(push(&mut second, "carillon-message")[2], Value::Integer(5));
        second.send(&command(&["ping"]));
        assert!(matches!(reply(&mut second), Value::Simple(_)), "all else goes on as ever");
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let server = Server::carillon(&[]);
    let mut wire = connect(&server);
    for (words, error) in [
        (&["carillon", "subscribe", "channels", "2", "a"][..], "ERR there are fewer names"),
        (&["carillon", "subscribe", "channels", "0", "position", "1", "0"], "ERR no name"),
        (
            &["carillon", "subscribe", "channels", "1", "a", "position", "1", "1", "x", "1"],
            "ERR a position is",
        ),
        (
            &["carillon", "subscribe", "channels", "1", "a", "position", "1", "9999"],
            "ERR a position with more",
        ),
        (&["carillon", "subscribe", "channels", "1", "a", "nonsense"], "ERR syntax error"),
        (&["carillon", "subscribe", "channels", "18446744073709551615", "a"], "ERR a number"),
        (&["carillon", "nonsense"], "ERR unknown subcommand"),
        (
            &[
                "carillon",
                "subscribe",
                "complete",
                "position",
                "1",
                "1",
                "7-0000000000000001",
                "5",
                "channels",
                "1",
                "a",
            ],
            "GAP messages of 1 origins",
        ),
    ] {
        let Value::Error(got) = wire.ask(words) else { panic!("{words:?} is refused") };
        assert!(got.starts_with(error), "{words:?}: {got}");
    }
    let mut publisher = Wire::connect(server.addr);
    assert_eq!(publisher.ask(&["publish", "a", ""]), Value::Integer(0), "nobody is subscribed");
    let Value::Error(_) = publisher.ask(&["carillon", "subscribe", "channels", "1", "a"]) else {
        panic!("numbers come in RESP3 only")
    };
    wire.send(&command(&["subscribe", "a"]));
    wire.receive();
    let Value::Error(got) = wire.ask(&["carillon", "subscribe", "channels", "1", "b"]) else {
        panic!("is refused")
    };
    assert!(got.contains("other subscriptions"), "{got}");
}

/// A user hears of what was published before it came no more than of what is published now.
#[test]
fn a_channel_that_is_forbidden_is_not_given_either() {
    let server = Server::carillon(&[]);
    let mut operator = Wire::connect(server.addr);
    let mut ann = connect(&server);
    // One selector allows the command, and another one the channel: that is not enough.
    let rules =
        ["acl", "setuser", "ann", "on", "nopass", "resetchannels", "&open", "+@all", "(+ping &closed)"];
    assert_eq!(operator.ask(&rules), Value::Simple("OK".into()));
    assert_eq!(ann.ask(&["auth", "ann", "x"]), Value::Simple("OK".into()));
    for kind in ["channels", "patterns", "shardchannels"] {
        let Value::Error(got) =
            ann.ask(&["carillon", "subscribe", "position", "0", "0", kind, "1", "closed"])
        else {
            panic!("{kind} is refused")
        };
        assert!(got.starts_with("NOPERM"), "{got}");
    }
    ann.send(&command(&["carillon", "subscribe", "channels", "1", "open"]));
    push(&mut ann, "carillon-position");
}
