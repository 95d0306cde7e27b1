//! SIGHUP: the configuration is read again, and what can change while the node runs is changed.

use std::{io, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};

use super::ports;
use crate::{
    config::{Row, Sources, TABLE},
    server::Node,
};

/// Reads the sources again at each SIGHUP.
pub(super) fn at_sighup(sources: Sources, node: Arc<Node>) -> io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            reload(&sources, &node);
        }
    })
}

/// Changes all that can change, also what CONFIG SET has changed before: from then on the sources hold. Of a wrong
/// configuration nothing is taken.
fn reload(sources: &Sources, node: &Node) {
    // Where they are needs a restart; what is there now does not.
    ports::reload_certificates(node);
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
