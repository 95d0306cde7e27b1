//! `carillon pub` and `carillon sub`, against redis-server and against Carillon.

use std::{io::Write as _, net::TcpListener};

use carillon_cluster_tests::{Running, Server, free_addr, run};

/// Every server that the commands are for, with the name to show when a test fails.
fn servers() -> [(&'static str, Server); 3] {
    [
        ("redis-server", Server::redis()),
        ("redis-server without HELLO", Server::redis_with(&["--rename-command", "HELLO", ""])),
        ("carillon", Server::carillon(&[])),
    ]
}

/// Publishes, with success, and returns what was printed.
fn publish(server: &Server, args: &[&str], input: &[u8]) -> String {
    let addr = server.addr.to_string();
    let ended = run(&[&["pub", "--server", &addr], args].concat(), &[], input);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    ended.output
}

#[test]
fn a_message_goes_from_pub_to_sub_as_text() {
    for (name, server) in servers() {
        let addr = server.addr.to_string();
        let mut sub = Running::subscribed(&["--server", &addr, "news", "weather"]);
        assert_eq!(publish(&server, &["news", "hello world"], b""), "1\n", "{name}");
        assert_eq!(publish(&server, &["weather", "-5"], b""), "1\n", "{name}");
        assert_eq!(publish(&server, &["sport", "0:0"], b""), "0\n", "{name}");
        assert_eq!(publish(&server, &["news"], b"two\nlines\n\xff"), "1\n", "{name}");
        assert_eq!(sub.line(), "news hello world\n", "{name}");
        assert_eq!(sub.line(), "weather -5\n", "{name}");
        assert_eq!(sub.line(), "news two\\nlines\\n\\xff\n", "{name}");
    }
}

#[test]
fn json_tells_patterns_and_keeps_every_byte() {
    for (name, server) in servers() {
        let addr = server.addr.to_string();
        let mut sub = Running::subscribed(&["--server", &addr, "--json", "--pattern", "--count", "2", "n*"]);
        publish(&server, &["news", "\"hi\""], b"");
        publish(&server, &["next"], b"\xff\0");
        assert_eq!(
            sub.line(),
            "{\"pattern\":\"n*\",\"channel\":\"news\",\"payload\":\"\\\"hi\\\"\"}\n",
            "{name}"
        );
        assert_eq!(
            sub.line(),
            "{\"pattern\":\"n*\",\"channel\":\"next\",\"payload_base64\":\"/wA=\"}\n",
            "{name}"
        );
        assert_eq!(sub.code(), Some(0), "{name}: as many as were asked for");
    }
}

#[test]
fn shard_channels_are_apart_from_channels() {
    for (name, server) in servers() {
        let addr = server.addr.to_string();
        let mut sub = Running::subscribed(&["--server", &addr, "--shard", "--json", "news"]);
        assert_eq!(publish(&server, &["news", "x"], b""), "0\n", "{name}");
        assert_eq!(publish(&server, &["--shard", "news", "y"], b""), "1\n", "{name}");
        assert_eq!(sub.line(), "{\"channel\":\"news\",\"payload\":\"y\"}\n", "{name}");
    }
}

#[test]
fn lines_are_published_in_order_with_a_number_each() {
    const LINES: usize = 3000;
    for (name, server) in servers() {
        let addr = server.addr.to_string();
        let count = LINES.to_string();
        let mut sub = Running::subscribed(&["--server", &addr, "--count", &count, "news"]);
        // The last line has no line feed, and every seventh nothing but.
        let line = |number: usize| if number.is_multiple_of(7) { String::new() } else { number.to_string() };
        let lines: Vec<String> = (1..=LINES).map(line).collect();
        let printed = publish(&server, &["--lines", "news"], lines.join("\n").as_bytes());
        assert_eq!(printed, "1\n".repeat(LINES), "{name}");
        for line in lines {
            assert_eq!(sub.line(), format!("news {line}\n"), "{name}");
        }
        assert_eq!(sub.code(), Some(0), "{name}");
    }
}

/// A line that someone types is published when it is typed, not when the input ends.
#[test]
fn lines_are_published_as_they_come() {
    let server = Server::carillon(&[]);
    let addr = server.addr.to_string();
    let mut publisher = Running::start(&["pub", "--server", &addr, "--lines", "news"]);
    publisher.write(b"one\n");
    assert_eq!(publisher.line(), "0\n");
    let mut sub = Running::subscribed(&["--server", &addr, "news"]);
    publisher.write(b"two\n");
    assert_eq!(publisher.line(), "1\n");
    assert_eq!(sub.line(), "news two\n");
    // While nothing is typed, the end of the server is told all the same.
    assert!(server.terminate());
    let line = publisher.error_line();
    assert!(line.contains(&format!("lost the connection to {addr}")), "{line}");
    assert_eq!(publisher.code(), Some(1));
}

#[test]
fn a_large_payload_goes_through() {
    let server = Server::carillon(&[]);
    let addr = server.addr.to_string();
    let mut sub = Running::subscribed(&["--server", &addr, "--count", "1", "news"]);
    let payload = "x".repeat(12_000_000);
    assert_eq!(publish(&server, &["news"], payload.as_bytes()), "1\n");
    assert_eq!(sub.line().len(), "news ".len() + payload.len() + 1);
    assert_eq!(sub.code(), Some(0));
}

#[test]
fn a_unix_socket_is_an_address_like_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("carillon.sock");
    let path = path.to_str().expect("a plain path");
    let _server = Server::carillon(&["--client-unix", path]);
    let addr = format!("unix://{path}");
    let mut sub = Running::subscribed(&["--server", &addr, "news"]);
    let ended = run(&["pub", "news", "x"], &[("CARILLON_SERVER", &addr)], b"");
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), "1\n"));
    assert_eq!(sub.line(), "news x\n");
}

#[test]
fn passwords_are_used_and_a_wrong_one_is_told_in_one_line() {
    let acl = ["--requirepass", "right", "--user", "ann", "on", ">secret", "+@all", "&*"];
    for flags in [&acl[..], &[&acl[..], &["--rename-command", "HELLO", ""]].concat()] {
        let server = Server::redis_with(flags);
        let addr = server.addr.to_string();
        let url = format!("redis://ann:secret@{addr}/0");
        for (args, variables) in [
            (&["pub", "--server", &addr, "--password", "right", "a", "b"][..], &[][..]),
            (&["pub", "--server", &addr, "a", "b"], &[("CARILLON_PASSWORD", "right")]),
            (&["pub", "--server", &url, "a", "b"], &[]),
            (&["pub", "--server", &addr, "--username", "ann", "--password", "secret", "a", "b"], &[]),
        ] {
            let ended = run(args, variables, b"");
            assert_eq!((ended.code, ended.output.as_str()), (Some(0), "0\n"), "{flags:?}: {}", ended.errors);
        }
        for (command, password, says) in [
            ("pub", "wrong", format!("{addr} refuses the password of user 'default': WRONGPASS")),
            ("sub", "wrong", format!("{addr} refuses the password of user 'default': WRONGPASS")),
            ("pub", "", format!("{addr} needs a password and none was given: NOAUTH")),
        ] {
            let args = [command, "--server", &addr, "a", "b"];
            let ended = run(&args, &[("CARILLON_PASSWORD", password)], b"");
            assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
            assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
            assert!(ended.errors.contains(&says), "{}", ended.errors);
        }
    }
}

/// What a user may not do is the server's to say; trying again would not help.
#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    let server = Server::redis_with(&["--user", "ann", "on", ">secret", "+@all", "&news"]);
    let url = format!("redis://ann:secret@{}", server.addr);
    for args in [["pub", "--server", &url, "other", "x"], ["sub", "--server", &url, "news", "other"]] {
        let ended = run(&args, &[], b"");
        assert_eq!(ended.code, Some(1));
        assert!(ended.errors.contains("answers with an error: NOPERM"), "{}", ended.errors);
        assert!(!ended.errors.contains("secret"), "{}", ended.errors);
    }
}

#[test]
fn an_address_where_no_such_server_is_ends_with_one_line() {
    let addr = free_addr().to_string();
    let web = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let web_addr = web.local_addr().expect("is bound").to_string();
    let answers = std::thread::spawn(move || {
        let (mut visitor, _) = web.accept().expect("is connected to");
        visitor.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("is read");
    });
    for (addr, says) in [
        (addr.as_str(), format!("cannot connect to {addr}: Connection refused")),
        (
            "unix:///nowhere/carillon.sock",
            "cannot connect to unix:///nowhere/carillon.sock: No such file".into(),
        ),
        (web_addr.as_str(), format!("{web_addr} does not speak Redis's protocol")),
    ] {
        let ended = run(&["sub", "--server", addr, "news"], &[], b"");
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
        assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
        assert!(ended.errors.contains(&says), "{}", ended.errors);
    }
    answers.join().expect("has answered");
}

#[test]
fn a_lost_server_is_waited_for_and_the_gap_is_told() {
    for (name, mut server) in servers() {
        let addr = server.addr.to_string();
        let mut sub = Running::subscribed(&["--server", &addr, "news"]);
        publish(&server, &["news", "before"], b"");
        assert_eq!(sub.line(), "news before\n", "{name}");

        server.kill();
        let lost = sub.error_line();
        assert!(lost.contains(&format!("lost the connection to {addr}: ")), "{name}: {lost}");
        let refused = sub.error_line();
        // It tries again at once, so that the dying server may still have accepted what it never answers.
        assert!(refused.contains(&addr) && refused.ends_with("; trying again\n"), "{name}: {refused}");

        server.start_again();
        let gap = sub.error_line();
        let (before, rest) = gap.split_once("messages from ").unwrap_or_else(|| panic!("{name}: {gap}"));
        assert_eq!(before, format!("carillon sub: subscribed again at {addr}; "), "{name}");
        let (from, rest) = rest.split_once(" to ").expect("two times");
        let (to, rest) = rest.split_once(' ').expect("two times");
        assert_eq!(rest, "may have been missed\n", "{name}");
        assert!(from < to && from.ends_with('Z') && to.ends_with('Z'), "{name}: {gap}");

        assert_eq!(publish(&server, &["news", "after"], b""), "1\n", "{name}");
        assert_eq!(sub.line(), "news after\n", "{name}");
    }
}

#[test]
fn no_reconnect_ends_with_the_connection() {
    let server = Server::carillon(&[]);
    let addr = server.addr.to_string();
    let mut sub = Running::subscribed(&["--server", &addr, "--no-reconnect", "news"]);
    assert!(server.terminate());
    assert_eq!(
        sub.error_line(),
        format!("carillon sub: lost the connection to {addr}: the server closed it\n")
    );
    assert_eq!(sub.code(), Some(1));
}

#[test]
fn an_output_that_nobody_reads_ends_quietly() {
    let server = Server::carillon(&[]);
    let addr = server.addr.to_string();
    let mut sub = Running::subscribed(&["--server", &addr, "news"]);
    sub.close_output();
    publish(&server, &["news", "x"], b"");
    assert_eq!((sub.code(), sub.error_line().as_str()), (Some(0), ""));

    let mut publisher = Running::start(&["pub", "--server", &addr, "--lines", "news"]);
    publisher.close_output();
    publisher.write(b"x\n");
    assert_eq!((publisher.code(), publisher.error_line().as_str()), (Some(0), ""));
}

/// Also while its output is blocked, and while it waits for its server.
#[test]
fn signals_end_it_with_the_exit_code_of_a_shell() {
    let server = Server::carillon(&[]);
    let addr = server.addr.to_string();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut sub = Running::subscribed(&["--server", &addr, "news"]);
        publish(&server, &["news"], &vec![b'x'; 1_000_000]);
        sub.signal(signal);
        assert_eq!(sub.code(), Some(code));
    }
    let mut sub = Running::subscribed(&["--server", &addr, "news"]);
    assert!(server.terminate());
    sub.error_line();
    sub.signal("INT");
    assert_eq!(sub.code(), Some(130));
}

#[test]
fn bad_usage_ends_with_64() {
    for args in [
        &["pub"][..],
        &["sub"],
        &["sub", "--pattern", "--shard", "a"],
        &["sub", "--count", "0", "a"],
        &["sub", "--nosuch", "a"],
        &["pub", "a", "b", "c"],
        &["pub", "--lines", "a", "b"],
        &["pub", "--server", "redis://:secret@", "a", "b"],
        &["pub", "--username", "ann", "a", "b"],
    ] {
        let ended = run(args, &[], b"");
        assert_eq!((ended.code, ended.output.as_str()), (Some(64), ""), "{args:?}: {}", ended.errors);
        assert!(!ended.errors.is_empty() && !ended.errors.contains("secret"), "{}", ended.errors);
    }
}
