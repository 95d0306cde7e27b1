//! Rules, one a line: whatever they are, a user is described so that the description makes the same user again, in a
//! file, in a table, and as text; and nobody may do what was not allowed.
#![no_main]

use carillon_broker::acl::{
    Change, DEFAULT, Known, User, UserTable, from_text, merge_selectors, parse_file, to_text, write_file,
};
use carillon_proto::command;
use libfuzzer_sys::fuzz_target;

const CHANNELS: [&[u8]; 4] = [b"a", b"news.1", b"", b"*"];

fn assert_same(one: &User, other: &User, what: &str) {
    assert_eq!(one.describe(), other.describe(), "{what}");
    assert_eq!(one.is_unrestricted(), other.is_unrestricted(), "{what}");
    for spec in command::all() {
        for channel in CHANNELS {
            let outcome = one.check(spec, 3, |_| channel);
            assert_eq!(outcome, other.check(spec, 3, |_| channel), "{what}: {}", spec.name);
            assert!(outcome.is_ok() || !one.is_unrestricted(), "{what}: {}", spec.name);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    // A file of it is read or refused, and what is read can be written.
    if let Ok(users) = parse_file(input) {
        let again = parse_file(&write_file(&users)).expect("what was written is read");
        users.iter().zip(&again).for_each(|(one, other)| assert_same(one, other, "a file"));
    }
    let Ok(rules) = merge_selectors(input.split(|byte| *byte == b'\n')) else { return };
    let mut user = User::new(b"bob");
    let mut taken = Vec::new();
    for rule in rules {
        let mut next = user.clone();
        if next.apply(&rule, Known::Table).is_ok() {
            user = next;
            taken.push(rule);
        }
    }
    let file = write_file([&user]);
    let again = parse_file(&file).unwrap_or_else(|error| panic!("{}: {error}", file.escape_ascii()));
    assert_same(&user, &again[0], "its own description");
    let mut table = UserTable::default();
    let rules = taken.iter().map(|rule| to_text(rule)).collect();
    let base = to_text(&User::new(b"bob").describe());
    if table.apply(&Change::Set { name: "bob".into(), base, rules }).is_ok() {
        let users = table.users(User::new(DEFAULT));
        assert_same(&user, users.get(b"bob").expect("it was set"), "a table");
    }
    assert_eq!(from_text(&to_text(input)), input);
});
