//! A real redis-server, which keeps nothing for those who come back: every loss is covered by a gap.

use std::time::Duration;

use carillon_cluster_tests::{
    Server, Wire,
    failover::{Heard, Load, Traffic, Verdict},
};

const LOAD: Load = Load { publishers: 3, payload: 50, pause: Duration::from_millis(1) };

/// Interrupts the subscriber some times, and judges.
fn interrupted(server: &mut Server, times: usize, mut interrupt: impl FnMut(&mut Server)) -> Verdict {
    let traffic = Traffic::start(&[server.addr], LOAD);
    for _ in 0..times {
        let heard = traffic.heard().len();
        traffic.wait_until_heard("messages", heard + 50, |item| matches!(item, Heard::Message { .. }));
        let heard = traffic.heard().len();
        interrupt(server);
        traffic
            .wait_until_heard("a gap", heard, |item| matches!(item, Heard::Gap { is_forgotten: false, .. }));
    }
    traffic.finish()
}

#[test]
fn every_loss_at_a_redis_that_is_killed_is_covered_by_a_gap() {
    let mut server = Server::redis();
    let verdict = interrupted(&mut server, 5, |server| {
        server.kill();
        server.start_again();
    });
    assert!(verdict.is_honest() && verdict.gaps >= 5, "{verdict:#?}");
}

/// Only the subscriber loses its connection, so that much is published meanwhile.
#[test]
fn every_loss_of_a_subscriber_that_is_cut_off_is_covered_by_a_gap() {
    // Also where the server speaks RESP2 only.
    for mut server in [Server::redis(), Server::redis_with(&["--rename-command", "HELLO", ""])] {
        let verdict = interrupted(&mut server, 20, |server| {
            Wire::connect(server.addr).ask(&["client", "kill", "type", "pubsub"]);
        });
        assert!(verdict.is_honest() && verdict.gaps >= 20, "{verdict:#?}");
    }
}
