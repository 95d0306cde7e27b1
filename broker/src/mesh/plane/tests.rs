use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use carillon_proto::{
    peer::Publish,
    position::{Cursor, Origin, Position, Stamp},
};
use tokio::{
    runtime::LocalOptions,
    sync::{mpsc, oneshot, watch},
};

use super::{Local, Plane, PlaneCommand, PlaneProgress, PlaneSettings};
use crate::mesh::{Links, View};

/// A message's number and its payload.
type Numbered = (u64, Vec<u8>);

/// Clients that note what was answered.
#[derive(Debug, Default)]
struct Clients {
    answered: Rc<RefCell<Vec<u32>>>,
    wants_numbers: bool,
    numbered: Rc<RefCell<Vec<Numbered>>>,
}

impl Local for Clients {
    type Ticket = u32;

    fn deliver(&self, _message: &Publish, _slot: u64, _number: u64) -> (u64, u32) {
        (0, 0)
    }

    fn wants_numbers(&self) -> bool {
        self.wants_numbers
    }

    fn deliver_numbered(&self, stamp: Stamp, _is_shard: bool, _channel: &[u8], payload: &[u8]) {
        self.numbered.borrow_mut().push((stamp.number, payload.to_vec()));
    }

    fn tell_position(&self, _position: Position) {}

    fn complete(&self, ticket: u32, _receivers: u64) {
        self.answered.borrow_mut().push(ticket);
    }

    fn may_act(&self) -> bool {
        true
    }

    fn set_full(&self, _is_full: bool) {}
}

const SETTINGS: PlaneSettings = PlaneSettings {
    grace: Duration::from_millis(50),
    unacked_bytes_max: 1024,
    lag: Duration::from_secs(1),
    ring_time: Duration::from_secs(1),
    recent_bytes_max: 1024,
    recent_time: Duration::from_secs(1),
};

/// A node that had been fenced, and was asking for its next view, once took a message of a connection that was about
/// to be closed: it answered it itself, and forgot it. The others expected message 1, could not have it, and got
/// nothing of this node any more.
#[test]
fn a_message_from_before_the_fence_takes_no_number_of_the_next_incarnation() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        let clients = Clients::default();
        let answered = Rc::clone(&clients.answered);
        let (commands, receiver) = mpsc::unbounded_channel();
        let (events, _told) = mpsc::unbounded_channel();
        let (progress, _) = watch::channel(PlaneProgress::default());
        let plane = Plane::start(clients, Arc::new(Links::default()), SETTINGS, receiver, events, progress);
        let settle = async || {
            let (answer, report) = oneshot::channel();
            commands.send(PlaneCommand::Report(answer)).expect("it obeys");
            report.await.expect("it answers")
        };
        commands.send(PlaneCommand::Begin { node: 1, incarnation: 10 }).expect("it obeys");
        settle().await;
        plane.publish(false, b"news", b"late", 1);
        plane.flush();
        let view = View { epoch: 1, members: [(1, 10), (2, 20)].into() };
        commands.send(PlaneCommand::Install { view, voters: vec![1, 2] }).expect("it obeys");
        assert_eq!(settle().await.published, 0);
        assert_eq!(plane.state.borrow_mut().outbound.resume(2, 20, Some(0)), Some((1, 0)));
        plane.publish(false, b"news", b"first", 2);
        plane.flush();
        assert_eq!(settle().await.published, 1);
        assert!(answered.borrow().is_empty(), "node 2 has nothing yet");
    });
}

/// The other ends of a plane's channels, which live as long as it is to work.
type Ends = (mpsc::UnboundedSender<PlaneCommand>, mpsc::UnboundedReceiver<super::PlaneEvent>);

/// The plane of node 1, alone in the fifth view, where this was published.
fn alone_in_view_five(published: &[u8]) -> (Rc<Plane<Clients>>, Ends) {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (events, told) = mpsc::unbounded_channel();
    let (progress, _) = watch::channel(PlaneProgress::default());
    let clients = Clients::default();
    let plane = Plane::start(clients, Arc::new(Links::default()), SETTINGS, receiver, events, progress);
    plane.begin(1, 10);
    plane.install(View { epoch: 5, members: [(1, 10)].into() }, vec![1]);
    plane.publish(false, b"news", published, 1);
    (plane, (commands, told))
}

/// All that a client knew had left while its node was fenced. What another origin had published before, the client had had,
/// and was given again.
#[test]
fn a_client_whose_origins_have_all_left_gets_nothing_twice() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        let (plane, _ends) = alone_in_view_five(b"had");
        let gone = Stamp { origin: Origin { node: 2, incarnation: 20 }, number: 3 };
        let recent = plane.recent(&mut Cursor::from(Position { epoch: 5, seen: vec![gone] }));
        assert_eq!((recent.gaps[0].first, recent.gaps[0].last), (4, None), "of what has left nobody knows");
        assert_eq!(recent.frames.len(), 0);
        // One that came into a later view is new to it.
        let recent = plane.recent(&mut Cursor::from(Position { epoch: 4, seen: vec![gone] }));
        assert_eq!(recent.frames.len(), 1);
    });
}

/// Two clusters count their views each by itself. A client that came from one with more of them was held back for five seconds,
/// by each node that it asked, and went on without numbers.
#[test]
fn a_client_of_another_cluster_is_not_held_back_until_that_ones_view_is_here() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        let (plane, _ends) = alone_in_view_five(b"not for it");
        let stranger = Stamp { origin: Origin { node: 1, incarnation: 11 }, number: 3 };
        let recent = plane.recent(&mut Cursor::from(Position { epoch: 6, seen: vec![stranger] }));
        assert!(!recent.is_early && recent.frames.is_empty());
        assert_eq!((recent.gaps[0].first, recent.gaps[0].last), (4, None));
        assert_eq!(recent.end, Some(plane.position()), "it goes on from here");
        // One of this cluster has heard of a view before this node has.
        let own = Stamp { origin: Origin { node: 1, incarnation: 10 }, number: 0 };
        let ahead = Position { epoch: 6, seen: vec![own, stranger] };
        assert!(plane.recent(&mut Cursor::from(ahead)).is_early);
    });
}

/// A node on its own numbers its messages as one of a cluster does, and gives them to who comes back.
#[test]
fn a_node_alone_gives_recent_messages_again() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        let clients = Clients { wants_numbers: true, ..Clients::default() };
        let (answered, numbered) = (Rc::clone(&clients.answered), Rc::clone(&clients.numbered));
        let plane = Plane::alone(clients, SETTINGS, 7);
        let position = plane.position();
        for (ticket, payload) in [(1, "a"), (2, "b"), (3, "c")] {
            plane.publish(false, b"news", payload.as_bytes(), ticket);
        }
        plane.flush();
        assert_eq!(*answered.borrow(), [1, 2, 3]);
        assert_eq!(numbered.borrow()[2], (3, b"c".to_vec()));
        let mut cursor = Cursor::from(position.clone());
        let recent = plane.recent(&mut cursor);
        let numbers: Vec<u64> = recent.frames.iter().map(|(stamp, _)| stamp.number).collect();
        assert_eq!((numbers, recent.gaps.len()), (vec![1, 2, 3], 0));
        assert_eq!(recent.end, Some(plane.position()));
        plane.publish(false, b"news", &[b'x'; 2000], 4);
        plane.flush();
        let recent = plane.recent(&mut Cursor::from(position.clone()));
        let gap = recent.gaps[0];
        assert_eq!((gap.first, gap.last, recent.frames.len()), (1, Some(4), 0), "all are gone");
        // Once a node that had not heard of the newest view gave what came of a newcomer from its beginning, to a client
        // that had had it from another node.
        let ahead = Position { epoch: 2, ..position.clone() };
        assert!(plane.recent(&mut Cursor::from(ahead)).is_early);
        // Another life of the node: what was published in it is given, and what was in the other is unknown.
        let plane = Plane::alone(Clients::default(), SETTINGS, 8);
        plane.publish(false, b"news", b"d", 5);
        let recent = plane.recent(&mut Cursor::from(position));
        assert_eq!((recent.gaps[0].first, recent.gaps[0].last), (1, None));
        assert_eq!(recent.frames.len(), 1);
    });
}
