//! What users may and may not do, told by rules.

use carillon_proto::command::{self, Channels, CommandSpec, Flags};
use proptest::prelude::*;

use super::*;

fn user(rules: &str) -> User {
    let mut user = User::new(b"bob");
    for rule in merge_selectors(rules.split_whitespace().map(str::as_bytes)).expect("closed parentheses") {
        user.apply(&rule, Known::Table).unwrap_or_else(|error| panic!("{}: {error}", rule.escape_ascii()));
    }
    user
}

fn check(user: &User, request: &str) -> Result<(), Denied> {
    let words: Vec<&[u8]> = request.split_whitespace().map(str::as_bytes).collect();
    let spec = command::find(words[0]).expect("a command");
    let spec = words.get(1).and_then(|word| spec.subcommand(word)).unwrap_or(spec);
    user.check(spec, words.len(), |at| words[at])
}

fn error(rules: &[&str]) -> RuleError {
    let mut user = User::new(b"bob");
    let error = rules.iter().find_map(|rule| user.apply(rule.as_bytes(), Known::Table).err());
    error.expect("one of the rules is refused")
}

#[test]
fn a_new_user_may_do_nothing_but_become_another() {
    let user = User::new(b"bob");
    assert!(!user.accepts(b"") && !user.is_open());
    for spec in command::all() {
        let may = user.check(spec, 3, |_| b"x").is_ok();
        assert_eq!(may, spec.flags.contains(Flags::NO_AUTH), "{}", spec.name);
    }
    assert_eq!(user.describe(), b"off resetchannels -@all");
}

#[test]
fn the_last_rule_about_a_command_counts() {
    let bob = user("on nopass +@all -@dangerous +info -client|kill &*");
    assert_eq!(check(&bob, "info"), Ok(()));
    assert_eq!(check(&bob, "publish a b"), Ok(()));
    assert_eq!(check(&bob, "client id"), Ok(()));
    assert_eq!(check(&bob, "client kill x"), Err(Denied::Command));
    assert_eq!(check(&bob, "config get x"), Err(Denied::Command));
    assert_eq!(bob.describe(), b"on nopass &* +@all -@dangerous +info -client|kill");
    let bob = user("+client|kill +client|id -client +@connection");
    assert_eq!(bob.describe(), b"off resetchannels -@all -client +@connection");
    let bob = user("+@all -ping +ping &*");
    assert!(bob.is_unrestricted(), "everything is allowed, whatever was said on the way");
}

#[test]
fn channels_match_patterns_and_patterns_match_themselves() {
    let bob = user("+@pubsub &news.* &exact");
    assert_eq!(check(&bob, "publish news.a x"), Ok(()));
    assert_eq!(check(&bob, "subscribe exact news.b"), Ok(()));
    assert_eq!(check(&bob, "subscribe exact other news.b"), Err(Denied::Channel(2)));
    assert_eq!(check(&bob, "ssubscribe news."), Ok(()));
    assert_eq!(check(&bob, "psubscribe news.*"), Ok(()));
    assert_eq!(check(&bob, "psubscribe news.a*"), Err(Denied::Channel(1)));
    assert_eq!(check(&bob, "psubscribe exact"), Ok(()));
    assert_eq!(check(&bob, "unsubscribe other"), Ok(()));
    assert_eq!(check(&bob, "publish other news.a"), Err(Denied::Channel(1)));
    assert!(bob.may_hear(b"news.1", false) && !bob.may_hear(b"news.1", true) && !bob.may_hear_everything());
}

/// Every argument that can hold a channel, of every command of the table.
#[test]
fn every_channel_argument_of_every_command_is_checked() {
    let bob = user("+@all &yes");
    let mut checked = 0;
    let request_of = |spec: &CommandSpec, len: usize, at: usize| -> Vec<&'static [u8]> {
        let mut request: Vec<&[u8]> = vec![b"yes"; len];
        if at < len {
            request[at] = b"no";
        }
        debug_assert!(spec.accepts(len));
        request
    };
    for spec in command::all() {
        for len in (1..8).filter(|len| spec.accepts(*len)) {
            let allowed = request_of(spec, len, len);
            assert_eq!(bob.check(spec, len, |at| allowed[at]), Ok(()), "{}", spec.name);
            for at in 1..len {
                let request = request_of(spec, len, at);
                let names_channel = match spec.channels {
                    Channels::Nothing => false,
                    Channels::First => at == 1,
                    Channels::All | Channels::AllPatterns => true,
                };
                let expected = if names_channel { Err(Denied::Channel(at)) } else { Ok(()) };
                assert_eq!(bob.check(spec, len, |at| request[at]), expected, "{} at {at}", spec.name);
                checked += usize::from(names_channel);
            }
        }
    }
    assert!(checked > 3 * 20, "only {checked}: the table tells of too few channels");
    let names: Vec<&str> =
        command::all().filter(|spec| spec.channels != Channels::Nothing).map(|spec| spec.name).collect();
    assert_eq!(names, ["psubscribe", "publish", "spublish", "ssubscribe", "subscribe"]);
}

#[test]
fn one_selector_has_to_allow_all_of_a_command() {
    let bob = user("+publish &a (+subscribe &b) ( +ping )");
    assert_eq!(check(&bob, "publish a x"), Ok(()));
    assert_eq!(check(&bob, "publish b x"), Err(Denied::Channel(1)));
    assert_eq!(check(&bob, "subscribe b"), Ok(()));
    assert_eq!(check(&bob, "ping"), Ok(()));
    assert_eq!(check(&bob, "echo x"), Err(Denied::Command));
    assert_eq!(
        bob.describe(),
        b"off resetchannels &a -@all +publish (resetchannels &b -@all +subscribe) (resetchannels -@all +ping)"
    );
    assert_eq!(user("(+ping) clearselectors").describe(), b"off resetchannels -@all");
    assert_eq!(merge_selectors([&b"on"[..], b"(+ping", b"x"]), Err(b"(+ping".to_vec()));
}

#[test]
fn a_command_can_be_allowed_with_a_first_argument_only() {
    let bob = user("+select|0");
    assert_eq!(check(&bob, "select 0"), Ok(()));
    assert_eq!(check(&bob, "select 1"), Err(Denied::Command));
    assert_eq!(bob.describe(), b"off resetchannels -@all +select|0");
}

#[test]
fn passwords_are_added_removed_and_kept_as_hashes() {
    let mut bob = user("on >one >two >one");
    assert!(bob.accepts(b"one") && bob.accepts(b"two") && !bob.accepts(b"three") && !bob.accepts(b""));
    assert_eq!(bob.passwords().len(), 2);
    bob.apply(b"<one", Known::Table).expect("a rule");
    assert!(!bob.accepts(b"one") && bob.accepts(b"two"));
    assert_eq!(bob.apply(b"<one", Known::Table), Err(RuleError::NoSuchPassword));
    let hash = PasswordHash::of(b"two").to_string();
    assert_eq!(hash, "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3");
    bob.apply(format!("!{hash}").as_bytes(), Known::Table).expect("a rule");
    assert!(!bob.accepts(b"two"));
    bob.apply(b"nopass", Known::Table).expect("a rule");
    assert!(bob.accepts(b"anything") && bob.is_open());
    bob.apply(b"off", Known::Table).expect("a rule");
    assert!(!bob.accepts(b"anything") && !bob.is_open());
    assert!(!format!("{:?}", user("on >secret")).contains("secret"));
    assert_eq!(without_plain_passwords(b">two".to_vec()), format!("#{hash}").into_bytes());
}

#[test]
fn what_is_no_rule_is_refused_in_redis_words() {
    assert_eq!(error(&["zzz"]), RuleError::Syntax);
    assert_eq!(error(&["+nosuch"]), RuleError::UnknownName);
    assert_eq!(error(&["-client|"]), RuleError::UnknownName);
    assert_eq!(error(&["+client|"]), RuleError::Syntax);
    assert_eq!(error(&["+client|nosuch"]), RuleError::UnknownName);
    assert_eq!(error(&["+client|id|x"]), RuleError::FirstArgOfSubcommand);
    assert_eq!(error(&["-select|0"]), RuleError::UnknownName);
    assert_eq!(error(&["+@nosuch"]), RuleError::UnknownName);
    assert_eq!(error(&["#ABC"]), RuleError::BadHash);
    assert_eq!(error(&["~*", "~a"]), RuleError::KeysAfterAll);
    assert_eq!(error(&["&*", "&a"]), RuleError::ChannelsAfterAll);
    assert_eq!(error(&["&a b"]), RuleError::Syntax);
    assert_eq!(error(&["%X~a"]), RuleError::Syntax);
    assert_eq!(error(&["%~a"]), RuleError::Syntax);
    assert_eq!(error(&["(+ping zzz)"]), RuleError::Syntax);
    assert_eq!(error(&["(&a) +ping)"]), RuleError::Syntax);
    assert_eq!(error(&["+select|0 1"]), RuleError::UnknownName);
    assert!(!is_valid_name(b"a b") && !is_valid_name(b""));
    assert_eq!(user("%R~a %W~a %r~b ~c").describe(), b"off ~a %R~b ~c resetchannels -@all");
    assert_eq!(user("~a %R~* %W~*").describe(), b"off ~* resetchannels -@all");
}

#[test]
fn files_are_read_and_written_in_redis_form() {
    let text = b"# users\n\nuser default off\nuser bob on #3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 \
        ~* resetchannels &a -@all +publish (resetchannels &b -@all +ping)\r\n";
    let users = parse_file(text).expect("a file");
    assert_eq!(users.len(), 2);
    let written = write_file(&users);
    assert_eq!(write_file(&parse_file(&written).expect("a file")), written);
    for (text, line) in [
        ("bob on", 1),
        ("user a on\nuser", 2),
        ("user a on\n\nuser a off", 3),
        ("user a zzz", 1),
        ("user a (+ping", 1),
    ] {
        assert_eq!(parse_file(text.as_bytes()).unwrap_err().line, line, "{text}");
    }
    let told = parse_file(b"user a #secret").unwrap_err().to_string();
    assert!(!told.contains("secret"), "{told}");
}

#[test]
fn the_log_counts_what_is_alike_and_stays_small() {
    let mut log = AclLog::default();
    let entry = |object: &str, at_s: u64| LogEntry {
        count: 1,
        reason: Reason::Command,
        context: Context::Toplevel,
        object: object.into(),
        username: b"bob".to_vec(),
        client: Vec::new(),
        at: std::time::Duration::from_secs(at_s),
    };
    for at_s in [0, 30, 200] {
        log.add(entry("ping", at_s));
    }
    let counts: Vec<u64> = log.latest(10).map(|entry| entry.count).collect();
    assert_eq!(counts, [1, 2], "those within a minute are one");
    for number in 0..1000 {
        log.add(entry(&format!("{number}{}", "x".repeat(10_000)), 200));
    }
    assert_eq!(log.latest(usize::MAX).len(), 128);
    assert!(log.latest(1).all(|entry| entry.object.len() <= 256));
    log.reset();
    assert_eq!(log.latest(10).len(), 0);
}

fn set(name: &str, rules: &[&str]) -> Change {
    let base = to_text(&User::new(name.as_bytes()).describe());
    Change::Set { name: name.into(), base, rules: rules.iter().map(|&rule| rule.to_owned()).collect() }
}

#[test]
fn a_table_keeps_users_and_tells_one_from_its_namesake_before() {
    let mut table = UserTable::default();
    table.apply(&set("bob", &["on", "nopass", "&a\u{e9}", "+newcommand", "+publish"])).expect("a change");
    let json = serde_json::to_string(&table).expect("JSON");
    assert_eq!(serde_json::from_str::<UserTable>(&json).expect("a table"), table);
    let users = table.users(User::unrestricted(DEFAULT));
    let bob = users.get(b"bob").expect("a user");
    assert_eq!(bob.describe(), b"on nopass resetchannels &a\xe9 -@all +newcommand +publish");
    assert!(users.authenticate(b"bob", b"x").is_some() && users.default_user().is_open());
    let refused = table.apply(&set("bob", &["off", "<nope"]));
    assert!(matches!(refused, Err(ChangeError::Rule { error: RuleError::NoSuchPassword, .. })));
    assert!(
        table.users(User::new(DEFAULT)).get(b"bob").expect("a user").is_open(),
        "all of a change, or nothing"
    );
    let removed = table.apply(&Change::Delete { names: vec!["bob".into(), "eve".into()] }).expect("a change");
    assert_eq!(removed.removed, 1);
    table.apply(&set("bob", &[])).expect("a change");
    assert_ne!(table.users(User::new(DEFAULT)).get(b"bob").expect("a user").created, bob.created);
    let select = set("bob", &["(+ping)"]);
    let first = table.apply_once(7, &select).expect("a change");
    assert_eq!(table.apply_once(7, &select), Ok(first), "asked for again, it is made once");
    assert_ne!(table.apply_once(8, &select), Ok(first));
    assert_eq!(table.users(User::new(DEFAULT)).get(b"bob").expect("a user").more_selectors().len(), 2);
    let huge = format!("&{}", "x".repeat(70_000));
    assert_eq!(table.apply(&set("bob", &[&huge])), Err(ChangeError::TooManyRules("bob".into())));
}

fn rule() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("on".to_owned()),
        Just("off".to_owned()),
        Just("nopass".to_owned()),
        Just("resetpass".to_owned()),
        Just("reset".to_owned()),
        Just("allchannels".to_owned()),
        Just("resetchannels".to_owned()),
        Just("allkeys".to_owned()),
        Just("resetkeys".to_owned()),
        Just("allcommands".to_owned()),
        Just("nocommands".to_owned()),
        Just("clearselectors".to_owned()),
        "[+-]@(all|pubsub|admin|slow|connection|hash)",
        "[+-](publish|subscribe|client|client\\|id|client\\|kill|ping|select|acl\\|whoami)",
        "\\+select\\|[01]",
        "[><](a|b)",
        "&[ab*]{1,2}",
        "(%R|%W|)~[ab*]{1,2}",
        "\\((\\+ping|-@all|&a|\\+@all -ping)\\)",
        "[a-z+@|&~%() ]{0,6}",
        "\\([&~+a) (]{0,6}\\)",
    ]
}

proptest! {
    /// What is told of a user makes the same user again: nothing is lost on a disk, in a file or on the way to another
    /// node.
    #[test]
    fn a_description_makes_the_same_user(rules in prop::collection::vec(rule(), 0..20)) {
        let mut bob = User::new(b"bob");
        for rule in &rules {
            let before = bob.clone();
            if bob.apply(rule.as_bytes(), Known::Table).is_err() {
                bob = before;
            }
        }
        let file = write_file([&bob]);
        let again = parse_file(&file).expect("what is written can be read").remove(0);
        prop_assert_eq!(again.describe(), bob.describe());
        prop_assert_eq!(again.is_unrestricted(), bob.is_unrestricted());
        for password in [&b"a"[..], b"b", b""] {
            prop_assert_eq!(again.accepts(password), bob.accepts(password));
        }
        for spec in command::all() {
            for arg in [&b"a"[..], b"b", b"0", b"ab"] {
                let outcome = bob.check(spec, 3, |_| arg);
                prop_assert_eq!(again.check(spec, 3, |_| arg), outcome, "{}", spec.name);
                prop_assert!(outcome.is_ok() || !bob.is_unrestricted());
            }
        }
    }

    /// Whatever bytes are given as a rule: no panic, and a refused one is refused for all.
    #[test]
    fn any_bytes_are_a_rule_or_are_refused(rules in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6)) {
        let mut bob = User::new(b"bob");
        for rule in &rules {
            let _ = bob.apply(rule, Known::Table);
            let _ = bob.apply(rule, Known::Any);
        }
        let _ = parse_file(&rules.concat());
        let described = to_text(&bob.describe());
        prop_assert_eq!(from_text(&described), bob.describe());
    }
}
