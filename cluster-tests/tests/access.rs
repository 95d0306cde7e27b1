//! Users, passwords and what they allow: beside redis-server, byte for byte, and what happens to connections.

use std::{fs, net::Shutdown};

use carillon_cluster_tests::{Server, Wire, command};
use carillon_proto::resp::Value;

/// The bytes of all answers to requests by words, `;` between them, with what differs from server to server left out.
fn conversation(server: &Server, text: &str) -> String {
    let mut wire = Wire::connect(server.addr);
    for request in text.split(';') {
        wire.send(&command(&request.split_whitespace().collect::<Vec<_>>()));
    }
    let _ = wire.socket.shutdown(Shutdown::Write);
    wire.bytes_until_end().escape_ascii().to_string()
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

/// Asks, and says what is wrong if the answer is not OK.
fn make(wire: &mut Wire, request: &str) {
    let reply = wire.ask(&request.split_whitespace().collect::<Vec<_>>());
    assert_eq!(reply, ok(), "{request}");
}

fn ask(wire: &mut Wire, request: &str) -> Value {
    wire.ask(&request.split_whitespace().collect::<Vec<_>>())
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.into())
}

fn error(text: &str) -> Value {
    Value::Error(text.into())
}

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

#[test]
fn users_are_made_and_told_as_redis_makes_and_tells_them() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    for text in [
        "acl;acl nosuch;acl whoami;acl whoami x;acl users;acl list;acl getuser default;acl getuser nosuch",
        "acl setuser;acl setuser a;acl setuser a:b on;acl setuser z sanitize-payload;acl list;acl users",
        "acl setuser a on >one >two >one nopass >three;acl getuser a;acl setuser a <three <three",
        "acl setuser a #abc;acl setuser a !abc;acl setuser a <nope;acl setuser a zzz;acl setuser a +nosuch",
        "acl setuser a +@nosuch;acl setuser a -nosuch;acl setuser a +client|nosuch;acl setuser a +client|",
        "acl setuser a +client|id|x;acl setuser a -select|0;acl setuser a -client|;acl setuser a +;acl setuser a -",
        "acl setuser a +|x;acl setuser a +@;acl setuser a %X~y;acl setuser a %~y;acl setuser a ~;acl setuser a &",
        "acl setuser a reset;acl getuser a;acl setuser a ~* ~x;acl setuser a &* &x;acl setuser a resetkeys ~x %R~x %W~y %rw~z",
        "acl getuser a;acl setuser a resetchannels &news.* &b;acl getuser a;acl setuser a allkeys allchannels allcommands;acl list",
        "acl setuser a (+ping &x) ( -@all +publish &y );acl getuser a;acl setuser a (zzz);acl setuser a (+ping",
        "acl setuser a clearselectors;acl list;acl setuser a nocommands +ping;acl list",
        "acl setuser a OFF RESETPASS NOCOMMANDS +PUBLISH;acl list;acl setuser a on;acl list",
        "acl setuser b +@all -publish;acl list;acl deluser default;acl deluser a b nobody;acl deluser b;acl users",
        "acl log abc;acl log reset x;acl log reset;acl log;acl log 3;acl cat nosuch;acl cat;acl cat a b",
        "acl genpass 0;acl genpass -1;acl genpass 4097;acl genpass abc;acl genpass 1 2;acl load;acl save",
        "acl setuser c +publish +client|id &a;acl dryrun c ping;acl dryrun c publish a x;acl dryrun c publish b x",
        "acl dryrun c client id;acl dryrun c client list;acl dryrun c client nosuch;acl dryrun c client;acl dryrun c nosuch",
        "acl dryrun nosuch ping;acl dryrun c echo;acl dryrun c subscribe a b;acl dryrun c psubscribe a b;acl dryrun c auth x",
        "client kill user nosuch;client kill user c;config get requirepass;config set requirepass",
        "acl setuser default off;acl setuser default on;acl setuser default resetpass;acl setuser default nopass",
    ] {
        let expected = conversation(&redis, text);
        assert!(expected.contains("\\r\\n"), "redis-server did not answer {text}");
        assert_eq!(conversation(&carillon, text), expected, "{text}");
    }
}

#[test]
fn restricted_users_are_answered_as_redis_answers_them() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    let rules = "acl setuser eve on >pw resetchannels &news* &p* +@all -echo -client|kill -time";
    for server in [&redis, &carillon] {
        make(&mut Wire::connect(server.addr), rules);
    }
    for text in [
        "acl whoami;echo x;echo;nosuch;client kill user x;client;client nosuch;client getname;time;ping",
        "publish news1 x;publish other x;spublish other x;publish newsx y;publish other",
        "subscribe news1 other;subscribe other;subscribe news1;unsubscribe other;unsubscribe",
        "psubscribe news*;psubscribe news1;psubscribe p* q*;punsubscribe;psubscribe p*",
        "ssubscribe other;ssubscribe newsx other;sunsubscribe other;ssubscribe newsx;echo x;publish other y",
        "multi;echo x;ping;exec;multi;publish other x;exec;multi;publish news1 x;ping;exec;multi;time;discard",
        "multi;shutdown;exec;hello 3 auth eve bad;hello 3 setname x;reset;acl whoami;echo x;auth eve pw;echo x",
        "auth eve;auth pw;auth eve bad;auth eve pw;auth nobody pw;acl whoami;quit;ping",
        "acl deluser eve nobody extra;ping",
    ] {
        let text = format!("auth eve pw;{text}");
        let without_greeting = |answer: String| match answer.split_once("%7") {
            Some((before, after)) => {
                before.to_owned() + after.split_once("*0\\r\\n").map_or("", |(_, rest)| rest)
            }
            None => answer,
        };
        let [expected, actual] =
            [&redis, &carillon].map(|server| without_greeting(conversation(server, &text)));
        assert_eq!(actual, expected, "{text}");
    }
}

#[test]
fn without_a_password_nothing_is_answered_but_what_redis_answers() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    for server in [&redis, &carillon] {
        make(&mut Wire::connect(server.addr), "config set requirepass sesame");
    }
    for text in [
        "ping;nosuch a;echo;client nosuch;multi;exec;subscribe a;publish a b;info;acl whoami;command",
        "hello;hello 3;hello 2 setname x;hello 3 auth default bad;hello abc;hello 9;hello 3 foo",
        "auth bad;auth default bad;auth nobody sesame;auth a b c;auth;ping;auth sesame;ping;reset;ping",
        "auth default sesame;acl whoami;multi;ping;reset;ping;reset x;quit",
        "post / x",
    ] {
        assert_eq!(conversation(&carillon, text), conversation(&redis, text), "{text}");
    }
    let mut wires = [&redis, &carillon].map(|server| Wire::connect(server.addr));
    for wire in &mut wires {
        make(wire, "auth sesame");
        wire.send(&command(&["config", "set", "requirepass", ""]));
        assert_eq!(wire.receive(), ok());
    }
    let answers =
        [&redis, &carillon].map(|server| conversation(server, "ping;auth x;acl list;config get requirepass"));
    assert_eq!(answers[1], answers[0]);
}

/// Every command of the table, as a user who may do nothing: those that need no authentication, and no other.
#[test]
fn a_user_who_may_do_nothing_is_refused_every_command() {
    let carillon = Server::carillon(&[]);
    make(&mut Wire::connect(carillon.addr), "acl setuser nobody on nopass &*");
    for spec in carillon_proto::command::all().filter(|spec| spec.subcommands.is_empty()) {
        if spec.flags.contains(carillon_proto::command::Flags::NO_AUTH) {
            continue;
        }
        let mut wire = Wire::connect(carillon.addr);
        make(&mut wire, "auth nobody x");
        let mut words: Vec<&str> = spec.name.split('|').collect();
        words.resize(usize::from(spec.arity.unsigned_abs()).max(words.len()), "x");
        let mut expected = format!("NOPERM this user has no permissions to run the '{}' command", spec.name);
        if spec.name == "exec" {
            expected.insert_str(0, "EXECABORT Transaction discarded because of: ");
        }
        assert_eq!(wire.ask(&words), error(&expected), "{words:?}");
    }
}

fn field<'a>(entry: &'a [Value], name: &str) -> &'a Value {
    let at = entry.iter().position(|value| *value == Value::Bulk(name.into()));
    &entry[at.unwrap_or_else(|| panic!("no {name} in {entry:?}")) + 1]
}

/// ACL LOG without what depends on time and place.
fn log(wire: &mut Wire) -> Vec<String> {
    let Value::Array(entries) = ask(wire, "acl log 100") else { panic!("ACL LOG is an array") };
    let told = |entry: &Value| {
        let Value::Array(entry) = entry else { panic!("an entry is a map, which RESP2 flattens") };
        assert_eq!(entry.len(), 14);
        let fields =
            ["count", "reason", "context", "object", "username"].map(|name| match field(entry, name) {
                Value::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            });
        assert!(matches!(field(entry, "age-seconds"), Value::Bulk(_)));
        fields.join(" ")
    };
    entries.iter().map(told).collect()
}

#[test]
fn what_is_denied_is_logged_as_redis_logs_it() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    let logs = [&redis, &carillon].map(|server| {
        let mut operator = Wire::connect(server.addr);
        make(&mut operator, "acl setuser eve on >pw resetchannels &news* +@all -echo -client|list");
        conversation(server, "auth eve bad;auth eve bad;auth nobody x;hello 2 auth eve bad");
        conversation(
            server,
            "auth eve pw;echo x;echo y;client list;publish other x;subscribe news a b;psubscribe n*",
        );
        conversation(server, "auth eve pw;multi;echo x;publish other x;exec;ssubscribe other");
        // Allowed when it is queued, and no more when it is run.
        let mut wire = Wire::connect(server.addr);
        make(&mut wire, "auth eve pw");
        for request in ["multi", "publish news1 x", "ping"] {
            ask(&mut wire, request);
        }
        make(&mut operator, "acl setuser eve resetchannels");
        let answer = ask(&mut wire, "exec");
        (log(&mut operator), answer)
    });
    assert_eq!(logs[1], logs[0]);
}

/// As in Redis: removed users are closed, and subscribers of what is forbidden now; others stay.
#[test]
fn connections_of_those_who_lost_access_are_closed() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&["--shards", "2"]));
    for server in [&redis, &carillon] {
        let mut operator = Wire::connect(server.addr);
        for user in ["removed", "moved", "muted", "stays"] {
            make(&mut operator, &format!("acl setuser {user} on >pw +@all &a &b &p*"));
        }
        let connect = |user: &str| {
            let mut wire = Wire::connect(server.addr);
            make(&mut wire, &format!("auth {user} pw"));
            wire
        };
        let subscribe = |user: &str, how: &str| {
            let mut wire = connect(user);
            ask(&mut wire, how);
            wire
        };
        let mut closed = vec![connect("removed"), subscribe("removed", "subscribe a")];
        assert_eq!(ask(&mut operator, "acl deluser removed"), Value::Integer(1));
        closed.extend([
            subscribe("moved", "subscribe a"),
            subscribe("moved", "ssubscribe a"),
            subscribe("muted", "psubscribe p*"),
        ]);
        let mut kept =
            [subscribe("moved", "subscribe b"), connect("moved"), subscribe("stays", "psubscribe p*")];
        make(&mut operator, "acl setuser moved resetchannels &b");
        make(&mut operator, "acl setuser muted resetchannels &pp*");
        make(&mut operator, "acl setuser stays off resetpass resetchannels &p* -@all");
        for wire in &mut closed {
            assert_eq!(wire.bytes_until_end(), b"", "it is closed without another word");
        }
        // Nothing of it is left behind either.
        let left = ask(&mut operator, "pubsub numsub a b");
        assert_eq!(left, Value::Array(vec![bulk("a"), Value::Integer(0), bulk("b"), Value::Integer(1)]));
        assert_eq!(ask(&mut operator, "publish b x"), Value::Integer(1));
        assert_eq!(kept[0].receive(), Value::Array(vec![bulk("message"), bulk("b"), bulk("x")]));
        assert_eq!(ask(&mut kept[1], "ping"), Value::Simple("PONG".into()));
        // Who removes itself is answered first.
        make(&mut operator, "acl setuser self on >pw +@all");
        let mut own = connect("self");
        assert_eq!(ask(&mut own, "acl deluser self"), Value::Integer(1));
        assert_eq!(own.bytes_until_end(), b"");
    }
}

#[test]
fn a_node_on_its_own_keeps_its_users_through_kills() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data").display().to_string();
    let mut server = Server::carillon(&["--data-dir", &data]);
    for number in 0..5 {
        make(&mut Wire::connect(server.addr), &format!("acl setuser user{number} on >pw{number} +ping"));
        server.kill();
        server.start_again();
        for number in 0..=number {
            make(&mut Wire::connect(server.addr), &format!("auth user{number} pw{number}"));
        }
    }
    make(&mut Wire::connect(server.addr), "config set requirepass sesame");
    server.kill();
    server.start_again();
    let mut wire = Wire::connect(server.addr);
    assert_eq!(ask(&mut wire, "ping"), error("NOAUTH Authentication required."));
    make(&mut wire, "auth sesame");
    let stored = fs::read(folder.path().join("data/store/db")).expect("the store");
    for secret in [&b"sesame"[..], b"pw0"] {
        assert!(!stored.windows(secret.len()).any(|part| part == secret), "only hashes are kept");
    }
}

#[test]
fn an_acl_file_is_loaded_and_saved_as_redis_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = ["redis.acl", "carillon.acl"].map(|name| folder.path().join(name));
    let start = "user default on nopass ~* &* +@all\nuser bob on >pw resetchannels &a -@all +publish\n";
    for file in &files {
        fs::write(file, start).expect("writes a file");
    }
    let paths = files.each_ref().map(|file| file.display().to_string());
    let redis = Server::redis_with(&["--aclfile", &paths[0]]);
    let carillon = Server::carillon(&["--acl-file", &paths[1]]);
    for text in [
        "acl list;auth bob pw;ping;publish b x;echo x",
        "acl setuser eve on nopass +ping;acl save;acl setuser tim on;acl load;acl users;acl list",
        "acl deluser bob;acl save;acl users",
    ] {
        assert_eq!(conversation(&carillon, text), conversation(&redis, text), "{text}");
    }
    let [expected, actual] = files.each_ref().map(|file| {
        let mut lines: Vec<String> =
            fs::read_to_string(file).expect("a file").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    });
    assert_eq!(actual, expected);
    // Broken files change nothing, and say where.
    for wrong in ["user a on\nuser a off\n", "nonsense\n", "user a zzz\n"] {
        fs::write(&files[1], wrong).expect("writes a file");
        let mut wire = Wire::connect(carillon.addr);
        let Value::Error(text) = ask(&mut wire, "acl load") else { panic!("{wrong} cannot be loaded") };
        let text = format!("{text:?}");
        assert!(text.contains("carillon.acl") && text.contains("line "), "{text}");
        assert!(text.contains("no change to the previously active ACL rules was performed"), "{text}");
        assert_eq!(ask(&mut wire, "acl whoami"), bulk("default"));
    }
    // Who is there still after a load keeps its connections.
    fs::write(&files[1], "user kept on nopass +@all\nuser gone on nopass +@all\n").expect("writes a file");
    make(&mut Wire::connect(carillon.addr), "acl load");
    let [mut kept, mut gone] = ["kept", "gone"].map(|user| {
        let mut wire = Wire::connect(carillon.addr);
        make(&mut wire, &format!("auth {user} x"));
        wire
    });
    fs::write(&files[1], "user kept on nopass +@all\n").expect("writes a file");
    make(&mut kept, "acl load");
    assert_eq!(ask(&mut kept, "acl whoami"), bulk("kept"));
    assert_eq!(gone.bytes_until_end(), b"");
}

#[test]
fn a_password_file_holds_until_something_else_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, data) = (folder.path().join("password"), folder.path().join("data").display().to_string());
    fs::write(&file, "first\nnot this\n").expect("writes a file");
    let mut server = Server::carillon(&["--password-file", &file.display().to_string(), "--data-dir", &data]);
    assert_eq!(conversation(&server, "ping"), "-NOAUTH Authentication required.\\r\\n");
    let mut wire = Wire::connect(server.addr);
    assert_eq!(ask(&mut wire, "auth not"), error(WRONG));
    make(&mut wire, "auth first");
    // A rule that says nothing of passwords keeps the one there is.
    make(&mut wire, "acl setuser default -time");
    server.kill();
    fs::write(&file, "second\n").expect("writes a file");
    server.start_again();
    assert_eq!(ask(&mut Wire::connect(server.addr), "auth second"), error(WRONG));
    make(&mut Wire::connect(server.addr), "auth first");
}

/// MONITOR tells of everything but passwords.
#[test]
fn monitors_see_no_passwords() {
    let server = Server::carillon(&[]);
    let mut monitor = Wire::connect(server.addr);
    make(&mut monitor, "monitor");
    let mut wire = Wire::connect(server.addr);
    make(&mut wire, "acl setuser bob on >secret1 +@all");
    make(&mut wire, "auth bob secret1");
    ask(&mut wire, "hello 2 auth bob secret1 setname named");
    make(&mut wire, "config set requirepass secret1");
    ask(&mut wire, "ping last");
    let seen =
        monitor.read_until(|bytes| bytes.windows(4).position(|part| part == b"last")).expect("the last");
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(!seen.contains("secret1") && seen.contains("named"), "{seen}");
}
