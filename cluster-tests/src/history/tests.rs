//! Planted faults must be found, and a clean history must pass.

use super::*;

const BOUNDS: Bounds = Bounds {
    settle: Duration::from_secs(3),
    answer_max: Duration::from_secs(5),
    grace: Duration::from_millis(50),
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two publishers on nodes 0 and 1 send 20 messages each, 10 ms apart; two subscribers on nodes 1 and 2 receive
/// each 2 ms after it was sent, and it is answered 3 ms after.
fn clean() -> (History, Instant) {
    let start = Instant::now();
    let publication = |publisher: usize, sequence: u64| {
        let sent = start + ms(100 + sequence * 10);
        Publication {
            connection: u32::from(sequence >= 10),
            node: publisher,
            channel: "news".into(),
            sent,
            answer: Answer::Receivers(2, sent + ms(3)),
            has_crossed_end: false,
        }
    };
    let publications: Vec<Vec<Publication>> =
        (0..2).map(|publisher| (0..20).map(|number| publication(publisher, number)).collect()).collect();
    let received = (0..20).flat_map(|sequence| (0..2).map(move |publisher| (publisher, sequence)));
    let received: Vec<Receipt> = received
        .map(|(publisher, sequence)| Receipt {
            publisher,
            sequence,
            at: publications[publisher][sequence].sent + ms(2),
        })
        .collect();
    let subscription = |subscriber: usize, topic: Topic| Subscription {
        subscriber,
        node: 1 + subscriber,
        topic,
        asked: start + ms(10),
        confirmed: Some(start + ms(20)),
        refused: None,
        received: received.clone(),
        closed: Closed::AtTheEnd(start + ms(1000)),
        is_slow: false,
    };
    let subscriptions =
        vec![subscription(0, Topic::Channel("news".into())), subscription(1, Topic::Prefix("ne".into()))];
    let healthy = vec![(start, start + ms(1000))];
    (History { publications, subscriptions, healthy, ..History::default() }, start)
}

fn violations(history: &History) -> Vec<Violation> {
    history.judge(&BOUNDS).violations
}

/// Takes a message out of what a subscription has received.
fn take(history: &mut History, subscription: usize, publisher: usize, sequence: usize) -> Receipt {
    let received = &mut history.subscriptions[subscription].received;
    let is_it = |receipt: &Receipt| (receipt.publisher, receipt.sequence) == (publisher, sequence);
    let at = received.iter().position(is_it).expect("was received");
    received.remove(at)
}

#[test]
fn a_clean_history_passes() {
    let (history, _) = clean();
    let verdict = history.judge(&BOUNDS);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.published, verdict.answered, verdict.counted), (40, 40, 40));
    assert_eq!((verdict.received, verdict.subscriptions), (80, 2));
}

#[test]
fn a_lost_message_is_found_in_the_middle_and_at_the_end() {
    let (mut history, _) = clean();
    take(&mut history, 0, 1, 7);
    assert_eq!(violations(&history), [Violation::Hole { subscription: 0, publisher: 1, sequence: 7 }]);
    let (mut history, _) = clean();
    take(&mut history, 1, 0, 19);
    assert_eq!(violations(&history), [Violation::Lost { subscription: 1, publisher: 0, sequence: 19 }]);
    // The last of a publisher's connection, though the publisher's next connection goes on.
    let (mut history, _) = clean();
    take(&mut history, 1, 0, 9);
    assert_eq!(violations(&history), [Violation::Lost { subscription: 1, publisher: 0, sequence: 9 }]);
}

#[test]
fn a_message_that_was_never_answered_may_be_missing_but_leaves_no_hole() {
    let (mut history, _) = clean();
    history.publications[0][19].answer = Answer::Never;
    take(&mut history, 0, 0, 19);
    take(&mut history, 1, 0, 19);
    assert_eq!(violations(&history), []);
    history.publications[0][5].answer = Answer::Never;
    take(&mut history, 0, 0, 5);
    take(&mut history, 1, 0, 5);
    assert_eq!(history.judge(&BOUNDS).violations_count, 2, "one hole for each subscriber");
}

#[test]
fn a_doubled_message_is_found() {
    let (mut history, _) = clean();
    let again = history.subscriptions[1].received[12];
    history.subscriptions[1].received.insert(14, again);
    let (publisher, sequence) = (again.publisher, again.sequence);
    assert_eq!(violations(&history), [Violation::Twice { subscription: 1, publisher, sequence }]);
}

#[test]
fn messages_of_one_connection_in_another_order_are_found_and_of_two_connections_are_fine() {
    let (mut history, _) = clean();
    let moved = take(&mut history, 0, 0, 3);
    history.subscriptions[0].received.insert(10, moved);
    let found = violations(&history);
    assert_eq!(
        found,
        [Violation::OutOfOrder { subscription: 0, publisher: 0, sequence: 3, before: 5 }],
        "{found:?}"
    );
    // 9 is the last of one connection and 10 the first of the next.
    let (mut history, _) = clean();
    let moved = take(&mut history, 0, 0, 9);
    let end = history.subscriptions[0].received.len();
    history.subscriptions[0].received.insert(end, Receipt { at: moved.at + ms(150), ..moved });
    assert_eq!(violations(&history), []);
}

#[test]
fn a_message_that_comes_late_is_found_unless_the_node_was_stopped_meanwhile() {
    let (mut history, start) = clean();
    let late = Receipt { at: start + ms(9000), ..take(&mut history, 0, 1, 19) };
    history.subscriptions[0].received.push(late);
    history.subscriptions[0].closed = Closed::AtTheEnd(start + ms(10_000));
    let found = violations(&history);
    assert!(
        matches!(found[..], [Violation::Late { subscription: 0, publisher: 1, sequence: 19, .. }]),
        "{found:?}"
    );
    history.stopped.push(Stopped { node: 1, from: start + ms(250), to: start + ms(8000) });
    assert_eq!(violations(&history), []);
}

#[test]
fn a_connection_that_is_closed_in_time_owes_nothing_and_one_that_stays_deaf_does() {
    let (mut history, start) = clean();
    history.healthy.clear();
    for sequence in 10..20 {
        take(&mut history, 0, 0, sequence);
    }
    history.subscriptions[0].closed = Closed::ByNode(start + ms(2000));
    assert_eq!(violations(&history), [], "closed within the time to settle");
    history.subscriptions[0].closed = Closed::ByNode(start + ms(5000));
    assert_eq!(history.judge(&BOUNDS).violations_count, 10);
    assert_eq!(history.still_open(1, start + ms(300), start + ms(2000)), [0]);
    assert!(history.still_open(1, start + ms(300), start + ms(6000)).is_empty());
}

#[test]
fn what_was_published_before_the_confirmation_is_not_owed() {
    let (mut history, start) = clean();
    history.healthy.clear();
    history.subscriptions[0].confirmed = Some(start + ms(101));
    take(&mut history, 0, 0, 0);
    take(&mut history, 0, 1, 0);
    assert_eq!(violations(&history), []);
    history.subscriptions[0].confirmed = Some(start + ms(99));
    assert_eq!(history.judge(&BOUNDS).violations_count, 2);
}

#[test]
fn an_unanswered_message_that_only_some_have_is_found() {
    let (mut history, start) = clean();
    history.publications[0][19].answer = Answer::Never;
    take(&mut history, 1, 0, 19);
    assert_eq!(violations(&history), [Violation::Split { publisher: 0, sequence: 19, with: 0, without: 1 }]);
    history.subscriptions[1].closed = Closed::ByNode(start + ms(400));
    history.healthy.clear();
    assert_eq!(violations(&history), [], "who was closed soon after is no witness");
}

#[test]
fn a_wrong_number_is_found_and_one_in_doubt_is_not() {
    let (mut history, start) = clean();
    let sent = history.publications[0][4].sent;
    history.publications[0][4].answer = Answer::Receivers(1, sent + ms(3));
    let wrong = Violation::Miscounted { publisher: 0, sequence: 4, answered: 1, possible: (2, 2) };
    assert_eq!(violations(&history), [wrong]);
    // It was being closed just then.
    history.subscriptions[1].closed = Closed::ByClient(sent + ms(1));
    history.subscriptions[1].received.retain(|receipt| receipt.at < sent);
    history.healthy = vec![(start, sent + ms(5))];
    assert_eq!(violations(&history), []);
    // After an answer that has waited for the whole grace, fewer may be counted for a while.
    let (mut history, _) = clean();
    let sent = history.publications[0][4].sent;
    history.publications[0][4].answer = Answer::Receivers(1, sent + ms(51));
    let sent = history.publications[0][12].sent;
    history.publications[0][12].answer = Answer::Receivers(1, sent + ms(1));
    assert_eq!(violations(&history), []);
}

#[test]
fn what_was_never_sent_is_found() {
    let (mut history, start) = clean();
    history.subscriptions[0].received.push(Receipt { publisher: 0, sequence: 20, at: start + ms(400) });
    assert_eq!(violations(&history), [Violation::Invented { subscription: 0, publisher: 0, sequence: 20 }]);
    let (mut history, start) = clean();
    history.subscriptions[0].received[0].at = start;
    let found = violations(&history);
    let early = Violation::Invented { subscription: 0, publisher: 0, sequence: 0 };
    assert_eq!(found, [early], "nothing arrives before it was sent");
}

#[test]
fn errors_and_answers_after_clients_gave_up_are_found() {
    let (mut history, start) = clean();
    history.publications[1][2].answer = Answer::Refused("ERR no".into());
    history.publications[1][3].answer = Answer::Receivers(2, start + ms(6000));
    history.subscriptions[0].refused = Some("ERR no".into());
    let found = violations(&history);
    assert!(
        matches!(
            found[..],
            [
                Violation::SubscribeRefused { .. },
                Violation::PublishRefused { publisher: 1, sequence: 2, .. },
                Violation::AnsweredLate { publisher: 1, sequence: 3, .. },
            ]
        ),
        "{found:?}"
    );
}

/// A publisher whose connection stays open and deaf.
#[test]
fn an_answer_that_never_comes_is_found_unless_the_connection_ends_in_time() {
    let (mut history, start) = clean();
    history.publications[1][19].answer = Answer::Never;
    history.hangups.insert((1, 1), start + ms(5000));
    assert_eq!(violations(&history), [], "it was closed before clients give up");
    history.hangups.insert((1, 1), start + ms(5300));
    let found = violations(&history);
    assert!(matches!(found[..], [Violation::NeverAnswered { publisher: 1, sequence: 19, .. }]), "{found:?}");
    history.stopped.push(Stopped { node: 1, from: start + ms(1000), to: start + ms(2000) });
    assert_eq!(violations(&history), [], "its node was stopped meanwhile");
}

#[test]
fn silences_are_measured_among_the_given_nodes() {
    let (mut history, start) = clean();
    let (from, to) = (start + ms(102), start + ms(292));
    assert_eq!(history.pauses(&[0, 1, 2], from, to), Pauses { gap: ms(10), wait: ms(3) });
    let sent = history.publications[1][9].sent;
    history.publications[1][9].answer = Answer::Receivers(2, sent + ms(80));
    history.subscriptions[1]
        .received
        .retain(|receipt| receipt.publisher == 0 && !(4..8).contains(&receipt.sequence));
    assert_eq!(history.pauses(&[0, 1, 2], from, to), Pauses { gap: ms(50), wait: ms(80) });
    assert_eq!(history.pauses(&[0, 1], from, to).gap, ms(10), "the subscriber on node 2 is not asked");
    assert_eq!(history.subscribers_at("news", from), 1);
    assert_eq!(history.received_before_close(1, from), 0, "it was not closed by the node");
}
