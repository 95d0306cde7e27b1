//! The same bytes to redis-server and to Carillon, and the same bytes back.
//!
//! Each conversation runs on a connection of its own and ends by closing the sending side, so that all of the
//! answer is compared, whether the server or the client ends it. The differences that are meant are not in
//! here; they are listed in `cluster-tests/README.md`.

use std::net::Shutdown;

use carillon_cluster_tests::{Server, Wire, command};

/// Requests by words; a word in the form `\x00` stands for a byte.
fn conversation(server: &Server, requests: &[Vec<u8>]) -> String {
    let mut wire = Wire::connect(server.addr);
    for request in requests {
        wire.send(request);
    }
    let _ = wire.socket.shutdown(Shutdown::Write);
    wire.bytes_until_end().escape_ascii().to_string()
}

fn words(text: &str) -> Vec<Vec<u8>> {
    text.split(';').map(|line| command(&line.split_whitespace().collect::<Vec<_>>())).collect()
}

#[test]
fn commands_are_answered_as_redis_answers_them() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    for text in [
        "ping;PING hello;ping a b;echo;echo x;nosuch a b;nosuch",
        "publish a;subscribe;pubsub;pubsub nosuch;pubsub numpat x;client;client nosuch;client id x",
        "subscribe a b a;psubscribe p*;ssubscribe s;publish a 1;ping;ping x;nosuch;pubsub channels;client id",
        "subscribe a;unsubscribe;unsubscribe;punsubscribe;sunsubscribe;unsubscribe zz;ping",
        "subscribe a b;unsubscribe a;psubscribe x;punsubscribe;ssubscribe q;sunsubscribe q;quit",
        "subscribe a;publish a;multi;exec;hello 3;reset;ping;quit",
        "hello 4;hello abc;hello 1;hello 3 foo;hello 3 auth x;hello 3 auth u pw;hello 2 setname",
        "auth;auth x;auth u p;auth default x;auth a b c",
        "select 0;select 5;select 16;select -1;select abc;select",
        "reset;reset x;quit now",
        "multi;publish a b;ping;exec;exec;discard;multi;multi;nosuch;exec",
        "multi;publish a;publish a b;exec;multi;discard;multi;exec;multi x;unwatch;watch a",
        "multi;subscribe a b;ping;publish a x;exec;ping",
        "multi;watch a;exec;multi;shutdown;exec;multi;quit",
        "multi;client reply off;ping;exec;ping;client reply on;ping",
        "multi;client setname a\u{7f};select 99;exec;multi;monitor;exec",
        "client reply off;ping;client reply on;client reply skip;ping;ping;client reply nosuch;client reply",
        "client reply skip;subscribe a b;ping;ping",
        "client getname;client setname abc;client getname;client setname \u{7f};client getname",
        "client kill;client kill 1.2.3.4:5;client kill id 999;client kill id abc;client kill id 0;client kill type x",
        "client kill type normal skipme x;client kill foo bar;client kill user nobody;client kill addr 1:1",
        "client list type foo;client list id a;client list id;client list foo;client list id 99999",
        "client pause abc;client pause -1;client pause 1 foo;client unpause;client no-evict on;client no-evict x",
        "client maint_notifications on;config;config get;config get nosuch;config set;config set nosuch x",
        "config get maxmemory;config get save;config set timeout;config resetstat",
        "time x;role;flushall;flushall async;flushall foo;flushdb sync;script flush;script flush foo",
        "function flush;function flush x;script nosuch;script;function;flushall async x;script flush async x",
        "command getkeys publish a b;command getkeys nosuch x;command getkeys watch a b;command list foo",
        "command info publish nosuch client|id subscribe watch;command docs nosuch;command list filterby module x",
        "shutdown foo;shutdown abort;shutdown nosave save",
        "pubsub numsub;pubsub numsub a b;pubsub channels a b;pubsub shardnumsub;pubsub shardnumsub z;pubsub numpat",
        "info nosuch",
    ] {
        let requests = words(text);
        let expected = conversation(&redis, &requests);
        assert!(expected.contains("\\r\\n"), "redis-server did not answer {text}");
        assert_eq!(conversation(&carillon, &requests), expected, "{text}");
    }
}

#[test]
fn resp3_is_answered_as_redis_answers_it() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    for text in [
        "subscribe a;publish a hi;ping;ping x;psubscribe a*;publish a hi;unsubscribe;unsubscribe;punsubscribe",
        "ssubscribe s1;spublish s1 m;sunsubscribe;sunsubscribe;pubsub numsub a b;pubsub channels;client getname",
        "client reply off;subscribe a;publish a x;client reply on;publish a x",
        "multi;subscribe a;publish a x;exec;config get maxmemory;role;command info publish client|id ssubscribe",
        "info nosuch;client list id 9999;command docs nosuch",
    ] {
        // The greeting differs in version and number: it is asked for and read before.
        let answer = |server: &Server| {
            let mut wire = Wire::connect(server.addr);
            wire.ask(&["hello", "3"]);
            words(text).iter().for_each(|request| wire.send(request));
            let _ = wire.socket.shutdown(Shutdown::Write);
            wire.bytes_until_end().escape_ascii().to_string()
        };
        assert_eq!(answer(&carillon), answer(&redis), "{text}");
    }
}

#[test]
fn broken_input_is_answered_as_redis_answers_it() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    let long = vec![b'1'; 70_000];
    for input in [
        &b"*-1\r\n*0\r\n*1\r\n$4\r\nping\r\n"[..],
        b"PING\r\nPING hello\r\n\r\n   \r\nPING\nPING \"a b\\x41\"\r\nPING 'a'\r\nPING \"a\r\n",
        b"PING \"a\"b\r\n",
        b"*abc\r\n",
        b"*2147483648\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n$abc\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        b"*+1\r\n$4\r\nPING\r\n",
        b"* 1\r\n$4\r\nPING\r\n",
        b"*01\r\n$4\r\nPING\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\n$4\nPING\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"Host: x\r\n",
        b"*2\r\n$7\r\nno\r\nsuc\r\n$3\r\na\nb\r\n",
        &long,
        &[&b"*"[..], &long].concat(),
        &[&b"*1\r\n$"[..], &long].concat(),
    ] {
        let input = [input.to_vec()];
        let shown = input[0][..input[0].len().min(60)].escape_ascii().to_string();
        assert_eq!(conversation(&carillon, &input), conversation(&redis, &input), "{shown}");
    }
}

const SEED: u64 = 0x2545_f491_4f6c_dd17;

/// Random patterns over a small alphabet of what is special in them, against names made of it.
#[test]
fn patterns_match_what_they_match_in_redis() {
    let (redis, carillon) = (Server::redis(), Server::carillon(&[]));
    let names = ["a", "ab", "b", "a*", "[", "]", "a]", "-", "^", "\\", "ba", "aab", "abab"];
    let mut seed = SEED;
    let mut random = move |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    let mut wires = [Wire::connect(redis.addr), Wire::connect(carillon.addr)];
    let mut subscribers = [Wire::connect(redis.addr), Wire::connect(carillon.addr)];
    for subscriber in &mut subscribers {
        for name in names {
            subscriber.ask(&["subscribe", name]);
        }
    }
    for _ in 0..3000 {
        let len = 1 + random(6);
        let pattern: String = (0..len).map(|_| char::from(b"ab*?[]^-\\"[random(9)])).collect();
        let [expected, actual] = wires.each_mut().map(|wire| {
            let carillon_proto::resp::Value::Array(found) = wire.ask(&["pubsub", "channels", &pattern])
            else {
                panic!("PUBSUB CHANNELS answers with an array");
            };
            let mut found: Vec<String> = found.iter().map(|name| format!("{name:?}")).collect();
            found.sort();
            found
        });
        assert_eq!(actual, expected, "pattern {pattern}, of seed {SEED:#x}");
    }
}
