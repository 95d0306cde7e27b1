//! Settings from a file, the environment and flags, as the binary takes them: `check`, wrong ones, SIGHUP, and what
//! is told of them to people and shells.

use std::{fs, net::SocketAddr, path::PathBuf};

use carillon_cluster_tests::{Ended, Running, Wire, free_addr, run};
use carillon_proto::resp::Value;
use tempfile::TempDir;

const USAGE: Option<i32> = Some(64);

/// A folder with a configuration file.
struct Folder {
    folder: TempDir,
    file: PathBuf,
}

impl Folder {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("carillon.toml");
        fs::write(&file, text).expect("writes the file");
        Self { folder, file }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, text: &str) {
        fs::write(&self.file, text).expect("writes the file");
    }

    /// Runs a command with this file, until it ends.
    fn run(&self, command: &str, variables: &[(&str, &str)], flags: &[&str]) -> Ended {
        let file = self.file.display().to_string();
        run(&[&[command, "--config", &file], flags].concat(), variables, b"")
    }
}

/// One line that begins like this, and the exit code for wrong settings.
fn assert_refused(ended: &Ended, start: &str) {
    assert!(ended.errors.starts_with(start), "no {start:?} in {}", ended.errors);
    assert_eq!((ended.errors.lines().count(), ended.code), (1, USAGE), "{}", ended.errors);
    assert_eq!(ended.output, "");
}

#[test]
fn check_prints_what_holds_and_where_it_comes_from_and_changes_nothing() {
    let folder = Folder::new("# ours\nshards = 2\nclients-max = 20\npayload-bytes-max = '1MiB'\n");
    // A port that is taken, and a folder that is not there: nothing is bound, nothing written.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (addr, data) = (taken.local_addr().expect("has one").to_string(), folder.path("data"));
    let variables = [("CARILLON_CLIENTS_MAX", "30"), ("CARILLON_NAME", "")];
    let ended = folder.run("check", &variables, &["--client-addr", &addr, "--data-dir", &data]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let file = folder.file.display();
    for (setting, origin) in [
        (format!("client-addr = \"{addr}\""), "--client-addr".to_owned()),
        ("shards = 2".to_owned(), format!("{file}:2")),
        ("clients-max = 30".to_owned(), "CARILLON_CLIENTS_MAX".to_owned()),
        ("payload-bytes-max = \"1MiB\"".to_owned(), format!("{file}:4")),
        ("name = \"carillon\"".to_owned(), "default".to_owned()),
    ] {
        let line = ended.output.lines().find(|line| line.starts_with(&setting));
        let line = line.unwrap_or_else(|| panic!("no {setting} in {}", ended.output));
        assert_eq!(line.split_once("  # ").map(|(_, origin)| origin), Some(origin.as_str()), "{line}");
    }
    assert!(!fs::exists(&data).expect("can be asked"));
    // What it prints is itself a file that says the same.
    let again = Folder::new(&ended.output).run("check", &[], &[]);
    let settings = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  #").next().unwrap_or_default().trim().to_owned()).collect()
    };
    assert_eq!(settings(&again.output), settings(&ended.output));
}

#[test]
fn wrong_settings_end_with_64_and_a_line_that_names_them_and_their_place() {
    let folder = Folder::new("\nshards = 2\n");
    let file = folder.file.display().to_string();
    for command in ["check", "serve"] {
        let allowed = "allowed is a whole number from 1 to 64";
        folder.write("\nshards = 65\n");
        let told = format!("carillon: {file}:2: shards '65': {allowed}");
        assert_refused(&folder.run(command, &[], &[]), &told);
        folder.write("\nshards = 2\nlease_ms = 3000\n");
        let told = format!("carillon: {file}:3: there is no setting 'lease_ms'; did you mean 'lease-ms'?");
        assert_refused(&folder.run(command, &[], &[]), &told);
        folder.write("shards =\n");
        assert_refused(&folder.run(command, &[], &[]), &format!("carillon: {file}:1: "));
        folder.write("");
        let told = format!("carillon: CARILLON_SHARDS 'many': {allowed}");
        assert_refused(&folder.run(command, &[("CARILLON_SHARDS", "many")], &[]), &told);
        let told = format!("carillon: --shards '0': {allowed}");
        assert_refused(&folder.run(command, &[], &["--shards", "0"]), &told);
        let told = "carillon: --log-level 'a=b=c': allowed is error, warn";
        assert_refused(&folder.run(command, &[], &["--log-level", "a=b=c"]), told);
        folder.write("expect = 3\n");
        let told = "carillon: --peers and --expect are for a cluster, which needs --peer-addr on each node";
        let ended = folder.run(command, &[], &[]);
        assert_refused(&ended, told);
        assert!(ended.errors.contains(&format!("expect: {file}:1")), "{}", ended.errors);
    }
    let nowhere = folder.path("nowhere.toml");
    let ended = run(&["serve"], &[("CARILLON_CONFIG", &nowhere)], b"");
    assert_refused(&ended, &format!("carillon: the configuration file {nowhere} cannot be read: "));
}

/// A node that runs with a file, and what it logs.
struct Node {
    running: Running,
    addr: SocketAddr,
}

impl Node {
    fn start(folder: &Folder, flags: &[&str]) -> Self {
        let (addr, file, data) = (free_addr(), folder.file.display().to_string(), folder.path("data"));
        let client = addr.to_string();
        let common = ["serve", "--config", &file, "--data-dir", &data, "--client-addr", &client];
        let running = Running::start(&[&common[..], &["--admin-addr", "127.0.0.1:0"], flags].concat());
        let mut node = Self { running, addr };
        node.log_until("ready for clients");
        node
    }

    /// The log up to the line that holds this.
    fn log_until(&mut self, words: &str) -> String {
        self.running.errors_until(&[words])
    }

    /// Has it read its file again, and returns what it says of that.
    fn reload(&mut self) -> String {
        self.running.signal("HUP");
        self.log_until("the configuration is")
    }
}

fn config(wire: &mut Wire, name: &str) -> String {
    let Value::Array(pair) = wire.ask(&["config", "get", name]) else { panic!("CONFIG GET is an array") };
    let Some(Value::Bulk(value)) = pair.last() else { panic!("no setting {name}") };
    String::from_utf8_lossy(value).into_owned()
}

#[test]
fn sighup_changes_what_can_change_and_says_what_cannot() {
    let folder = Folder::new("clients-max = 20\ntcp-keepalive-s = 7\nshards = 2\n");
    let mut node = Node::start(&folder, &["--tcp-keepalive-s", "8"]);
    let mut wire = Wire::connect(node.addr);
    let names = ["maxclients", "tcp-keepalive", "timeout", "io-threads"];
    assert_eq!(names.map(|name| config(&mut wire, name)), ["20", "8", "0", "2"]);

    folder.write("clients-max = 30\ntcp-keepalive-s = 9\nclient-idle-s = 600\nshards = 3\n");
    let log = node.reload();
    assert!(log.contains("changed setting=\"clients-max\" old=\"20\" new=\"30\""), "{log}");
    assert!(log.contains("changed setting=\"client-idle-s\" old=\"0\" new=\"600\""), "{log}");
    assert!(log.contains("needs a restart setting=\"shards\" old=\"2\" new=\"3\""), "{log}");
    assert!(!log.contains("tcp-keepalive-s"), "the flag goes before the file: {log}");
    assert_eq!(names.map(|name| config(&mut wire, name)), ["30", "8", "600", "2"]);

    // What CONFIG SET has changed is again what the file says.
    let ok = Value::Simple("OK".into());
    assert_eq!(wire.ask(&["config", "set", "maxclients", "40", "timeout", "700"]), ok);
    assert!(node.reload().contains("changed setting=\"clients-max\" old=\"40\" new=\"30\""));
    assert_eq!(config(&mut wire, "timeout"), "600");
}

#[test]
fn a_wrong_file_changes_nothing_and_the_node_goes_on() {
    let folder = Folder::new("clients-max = 20\n");
    let mut node = Node::start(&folder, &[]);
    folder.write("clients-max = 30\nshard = 2\n");
    let log = node.reload();
    assert!(log.contains("ERROR") && log.contains("did you mean 'shards'?"), "{log}");
    let mut wire = Wire::connect(node.addr);
    assert_eq!(config(&mut wire, "maxclients"), "20");
    fs::remove_file(&folder.file).expect("it is there");
    assert!(node.reload().contains("cannot be read"));
    assert_eq!(config(&mut wire, "maxclients"), "20");
}

#[test]
fn sighup_changes_what_is_logged() {
    let folder = Folder::new("log-level = 'info'\n");
    let mut node = Node::start(&folder, &[]);
    folder.write("log-level = 'debug'\n");
    assert!(node.reload().contains("changed setting=\"log-level\" old=\"info\" new=\"debug\""));
    assert_eq!(config(&mut Wire::connect(node.addr), "loglevel"), "verbose");
}

#[test]
fn what_needs_a_restart_is_refused_by_config_set_as_redis_refuses_it() {
    let folder = Folder::new("payload-bytes-max = '1MiB'\n");
    let node = Node::start(&folder, &[]);
    let mut wire = Wire::connect(node.addr);
    assert_eq!(config(&mut wire, "proto-max-bulk-len"), "1048576");
    for name in ["io-threads", "unixsocket", "proto-max-bulk-len"] {
        let told = format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
        );
        assert_eq!(wire.ask(&["config", "set", name, "4"]), Value::Error(told));
    }
}

/// Under its own name, every setting that CONFIG SET cannot change says what can.
#[test]
fn config_set_of_a_nodes_own_setting_says_how_it_is_changed() {
    let folder = Folder::new("");
    let node = Node::start(&folder, &[]);
    let mut wire = Wire::connect(node.addr);
    for (name, how) in [
        ("shards", "it needs a restart"),
        ("lease-ms", "it needs a restart"),
        ("auth-timeout-s", "it is changed in the configuration file, which is read again at SIGHUP"),
        ("outbox-bytes-max", "it is changed as 'client-output-buffer-limit'"),
    ] {
        let told = format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {how}");
        assert_eq!(wire.ask(&["config", "set", name, "4"]), Value::Error(told));
    }
    for name in names() {
        let answer = wire.ask(&["config", "set", &name, "4"]);
        let Value::Error(told) = &answer else { panic!("{name}: {answer:?}") };
        assert!(!told.contains("Unknown option") || name == "config", "{told}");
    }
}

/// The names of all settings, as the reference has them, which is held to the table.
fn names() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../broker/SETTINGS.md");
    let reference = fs::read_to_string(path).expect("the reference");
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `--")?.split_once('`'));
    let names: Vec<String> = rows.map(|(name, _)| name.to_owned()).chain(["config".to_owned()]).collect();
    assert!(names.len() > 25, "the reference has another form");
    names
}

#[test]
fn help_man_page_and_completions_have_every_setting() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["man"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
    ] {
        let ended = run(args, &[], b"");
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{args:?}");
        // Roff has its own hyphens, and fish its own way to write a flag.
        let text = ended.output.replace("\\-", "-").replace("-l ", "--");
        let has_variables = !args.contains(&"completions");
        for name in names() {
            assert!(text.contains(&format!("--{name}")), "{args:?} has no {name}");
            let variable = format!("CARILLON_{}", name.to_uppercase().replace('-', "_"));
            assert!(!has_variables || text.contains(&variable), "{args:?} has no {variable}");
        }
    }
}
