//! The first install, and who may reach what.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use carillon_cluster_tests::kube::App;

use crate::stage::{NAME, NODE_LABELS, PORT, Stage};

/// The nodes' own port, and the operators'.
const PEER_PORT: u16 = 7379;
const ADMIN_PORT: u16 = 9379;

/// Whether a node answers a packet of a version of QUIC that it does not know, as it has to
/// ([RFC 9000, section 6](https://www.rfc-editor.org/rfc/rfc9000#section-6)).
fn speaks_quic(app: &App, ip: Ipv4Addr) -> bool {
    app.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(700))).expect("a time limit");
        // A long header, a version that is reserved for this, two connection ids of eight bytes.
        let mut packet = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8];
        packet.extend([9; 8]);
        packet.resize(1200, 0);
        socket.send_to(&packet, (ip, PEER_PORT)).expect("sends");
        socket.recv(&mut [0; 1500]).is_ok()
    })
}

#[test]
fn a_first_install_forms_one_cluster_spread_over_all_zones() {
    let Some(stage) = Stage::install("three") else { return };
    stage.wait_for_voters(3);
    let ids: BTreeSet<Option<String>> =
        (0..3).map(|ordinal| stage.status(ordinal).expect("answers").cluster_id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let hosts: BTreeSet<String> = stage.kube.pods().iter().map(|pod| pod.host.clone()).collect();
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    let load = stage.load();
    let history = load.judge_graceful("nothing is wrong");
    assert_eq!(history.closed_by_nodes(), 0);
    stage.finish(0);
}

#[test]
fn one_node_needs_no_others() {
    let Some(stage) = Stage::install("single") else { return };
    let load = stage.load();
    assert_eq!(load.judge_graceful("nothing is wrong").closed_by_nodes(), 0);
    stage.finish(0);
}

#[test]
fn the_network_policy_lets_in_clients_and_keeps_everyone_else_from_the_nodes() {
    let Some(stage) = Stage::install("three") else { return };
    let node = stage.pod(0).ip;
    assert!(stage.app.reaches(stage.kube.service(NAME, PORT)), "clients come in by the Service");
    assert!(stage.app.reaches((node, PORT)), "and directly");
    assert!(!stage.app.reaches((node, ADMIN_PORT)), "operators' business is not the applications'");
    assert!(!speaks_quic(&stage.app, node), "nor is the nodes' own port");
    // One that has the labels of a node shows that it is the policy that refuses, and what a node may not do itself.
    let inside = stage.kube.app("inside", &NODE_LABELS);
    stage.kube.wait("a pod with the labels of a node reaches a node's port", || {
        speaks_quic(&inside, node).then_some(())
    });
    assert!(!inside.reaches((node, ADMIN_PORT)), "they ask each other there, and nowhere else");
    let listener = stage.app.run(|| TcpListener::bind("0.0.0.0:7000").expect("a free port"));
    let addr = SocketAddr::from((stage.app.ip(), listener.local_addr().expect("is bound").port()));
    assert!(!inside.reaches(addr), "a node has no business with applications");
    drop(inside);
    let other = stage.kube.app("other", &[]);
    stage.kube.wait("another pod reaches an application", || other.reaches(addr).then_some(()));
    stage.finish(0);
}
