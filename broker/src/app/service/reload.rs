//! The configuration is read again: at SIGHUP, and when a file that it names has changed. What can change while the node
//! runs is changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ring::digest::{SHA256, digest};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    Contents,
    acl::User,
    app::{member::MemberNode, ports, users, users::Keeper},
    config::{Row, Settings, Sources, TABLE},
    server::Node,
};

/// Pause between two looks at the files. Kubernetes itself takes a minute to bring a changed secret to a pod.
///
/// They are read, not watched by the kernel: what is mounted into pods changes by an exchange of links, and on some file
/// systems nobody is told.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Longest part of a file that is looked at: far more than a certificate with its chain.
const LOOKED_AT_BYTES_MAX: usize = 1024 * 1024;

/// Settings that name files, and whether a node takes what is new in them while it runs.
const FILES: [(&str, FileOf, bool); 10] = [
    ("tls-cert-file", |settings| &settings.tls_cert_file, true),
    ("tls-key-file", |settings| &settings.tls_key_file, true),
    ("tls-ca-file", |settings| &settings.tls_ca_file, true),
    ("password-file", |settings| &settings.password_file, true),
    ("previous-password-file", |settings| &settings.previous_password_file, true),
    ("cluster-secret-file", |settings| &settings.cluster_secret_file, false),
    ("peer-ca-file", |settings| &settings.peer_ca_file, true),
    ("peer-cert-file", |settings| &settings.peer_cert_file, true),
    ("peer-key-file", |settings| &settings.peer_key_file, true),
    ("admin-token-file", |settings| &settings.admin_token_file, true),
];

type FileOf = fn(&Settings) -> &Option<Contents>;

/// What was in the configuration file, and in each of [`FILES`].
type Seen = Vec<Option<Vec<u8>>>;

/// The files as they were before the node took anything from them: a change while it starts is one, too.
pub(super) struct Watched {
    sources: Sources,
    settings: Settings,
    taken: Seen,
    /// The default user, as the password files had it then.
    default: Option<User>,
}

impl Watched {
    /// `settings` are those that the node starts with.
    pub(super) fn begin(sources: Sources, settings: &Settings) -> Self {
        let (taken, default) = (look_at(&paths(&sources, settings)), users::default_user(settings).ok());
        // The sources were read before that. What has changed since is unlike anything that will be seen.
        let is_same = sources
            .load()
            .is_ok_and(|now| TABLE.iter().all(|row| row.get(&now.settings) == row.get(settings)));
        let taken = if is_same { taken } else { Seen::new() };
        Self { sources, settings: settings.clone(), taken, default }
    }

    /// Reads the sources again at each SIGHUP and whenever a file has changed. `keeper` has the node's users, `member` its
    /// part in a cluster.
    pub(super) fn follow(
        self,
        node: Arc<Node>,
        keeper: Keeper,
        member: Option<Arc<MemberNode>>,
    ) -> io::Result<impl Future<Output = ()>> {
        let mut hangup = signal(SignalKind::hangup())?;
        let Self { sources, settings, mut taken, mut default } = self;
        let mut last = taken.clone();
        Ok(async move {
            loop {
                let is_asked = tokio::select! {
                    hung_up = hangup.recv() => {
                        if hung_up.is_none() {
                            return;
                        }
                        true
                    }
                    () = tokio::time::sleep(LOOK_AGAIN) => false,
                };
                // Also when asked: what is taken then is not to be taken once more a moment later.
                let seen = look(&sources, &settings).await;
                // What is being written is left alone until it is the same twice, unless somebody says that it is ready.
                let is_settled = seen == last;
                last.clone_from(&seen);
                if !is_asked && (!is_settled || seen == taken) {
                    continue;
                }
                tell_what_waits(&taken, &seen);
                taken = seen;
                // Where they are needs a restart; what is there now does not.
                ports::reload_certificates(&node);
                if let Some(member) = &member {
                    member.reload_certificates(&settings);
                }
                reload(&sources, &node);
                reload_passwords(&settings, &keeper, &mut default).await;
            }
        })
    }
}

async fn look(sources: &Sources, settings: &Settings) -> Seen {
    let paths = paths(sources, settings);
    // A file may be on a disk that does not answer: the node must go on.
    tokio::task::spawn_blocking(move || look_at(&paths)).await.unwrap_or_default()
}

fn paths(sources: &Sources, settings: &Settings) -> Vec<Option<PathBuf>> {
    let named = FILES.iter().map(|(_, file, _)| file(settings).as_ref().and_then(Contents::path));
    [sources.file()].into_iter().chain(named).map(|path| path.map(Path::to_owned)).collect()
}

fn look_at(paths: &[Option<PathBuf>]) -> Seen {
    paths.iter().map(|path| path.as_deref().and_then(fingerprint)).collect()
}

/// `None` where there is nothing to read.
fn fingerprint(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, LOOKED_AT_BYTES_MAX as u64), &mut bytes).ok()?;
    Some(digest(&SHA256, &bytes).as_ref().to_vec())
}

fn tell_what_waits(before: &Seen, now: &Seen) {
    // The first of what was seen is the configuration file.
    let pairs = before.iter().zip(now).skip(1);
    for ((setting, _, is_taken), (before, now)) in FILES.iter().zip(pairs) {
        if before != now && !is_taken {
            tracing::warn!(setting, "the file has changed; that needs a restart");
        }
    }
}

/// Changes all that can change, also what CONFIG SET has changed before: from then on the sources hold. Of a wrong
/// configuration nothing is taken.
fn reload(sources: &Sources, node: &Node) {
    let wanted = match sources.load() {
        Ok(configuration) => configuration.settings,
        Err(error) => {
            tracing::error!(%error, "the configuration is wrong, and nothing of it is taken");
            return;
        }
    };
    let live = &node.settings.live;
    let rows: Vec<&Row> = TABLE.iter().collect();
    live.change(&wanted, &rows, |changed| {
        tracing::info!(setting = changed.name, old = changed.old, new = changed.new, "changed");
    });
    let current = live.current();
    for row in TABLE.iter().filter(|row| row.get(&current) != row.get(&wanted)) {
        let (old, new) = (row.show(&current), row.show(&wanted));
        tracing::warn!(setting = row.name, old, new, "needs a restart");
    }
    let file = sources.file().map(|file| file.display().to_string());
    tracing::info!(file, "the configuration is read");
}

/// Takes the passwords that the files have now. Who is connected stays.
async fn reload_passwords(settings: &Settings, keeper: &Keeper, default: &mut Option<User>) {
    match users::default_user(settings) {
        Ok(now) if default.as_ref().map(User::describe) == Some(now.describe()) => {}
        Ok(now) => {
            *default = Some(now.clone());
            keeper.set_default(now).await;
            tracing::info!("passwords read again");
        }
        Err(error) => tracing::error!(%error, "the new passwords cannot be used; going on with the old ones"),
    }
}
