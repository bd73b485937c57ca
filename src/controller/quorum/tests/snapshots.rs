//! Single situations in which a log begins behind a snapshot.

use super::*;

fn snapshot(term: u64, index: u64) -> Snapshot {
    Snapshot { position: position(term, index), records: Arc::default() }
}

/// Voter 1 of 1 to 3, restarted with a snapshot at this position, and a log of these terms behind it.
fn restarted(snapshot_at: Position, terms: &[u64]) -> Quorum {
    let first = snapshot_at.index.0 + 1;
    let log: Vec<Entry> = (first..).zip(terms).map(|(index, term)| entry(*term, index)).collect();
    let term = log.last().map_or(snapshot_at.term, |entry| entry.term);
    let snapshot = Snapshot { position: snapshot_at, records: Arc::default() };
    let restored = Restored { term, vote: None, snapshot, base: snapshot_at, log };
    Quorum::new(id(1), (1..4).map(id), restored, QuorumConfig::default(), Prng::new(1), at(0))
}

#[test]
fn what_a_snapshot_has_is_dropped_when_the_next_one_is_durable() {
    let mut quorum = voter(&[1; 9]);
    let append = Body::Append { previous: position(1, 9), entries: Vec::new(), commit: Index(7) };
    told(&mut quorum, 2, 1, append, at(0));
    assert_eq!(quorum.snapshot_at(Index(3)), Some(position(1, 3)));
    assert_eq!(quorum.step(Event::Snapshotted(snapshot(1, 3)), at(0)), []);
    assert_eq!((quorum.base(), quorum.snapshot_at(Index(3))), (Position::default(), None));
    let effects = quorum.step(Event::Snapshotted(snapshot(1, 6)), at(0));
    assert_eq!(effects, [Effect::Drop { up_to: position(1, 3) }]);
    assert_eq!((quorum.base(), quorum.last(), quorum.commit()), (position(1, 3), position(1, 9), Index(7)));
    assert_eq!((quorum.entry(Index(3)), quorum.entry(Index(4))), (None, Some(&entry(1, 4))));
}

#[test]
fn what_is_not_committed_or_not_here_makes_no_snapshot() {
    let mut quorum = voter(&[1; 5]);
    let append = Body::Append { previous: position(1, 5), entries: Vec::new(), commit: Index(4) };
    told(&mut quorum, 2, 1, append, at(0));
    assert_eq!((quorum.snapshot_at(Index(5)), quorum.snapshot_at(Index(6))), (None, None));
    for refused in [snapshot(1, 5), snapshot(2, 4), snapshot(1, 6)] {
        assert_eq!(quorum.step(Event::Snapshotted(refused), at(0)), []);
        assert_eq!(quorum.snapshot(), &Snapshot::default());
    }
}

#[test]
fn who_starts_from_a_snapshot_counts_it_as_committed() {
    let quorum = restarted(position(2, 7), &[2, 3]);
    assert_eq!((quorum.commit(), quorum.last(), quorum.base()), (Index(7), position(3, 9), position(2, 7)));
    // Its log is too short, or another one's, or has a gap where the snapshot is.
    for log in [log(&[1, 1]), log(&[1; 9]), [log(&[1, 1]), vec![entry(2, 7), entry(2, 8)]].concat()] {
        let restored = Restored { snapshot: snapshot(2, 7), log, ..Restored::default() };
        let (config, prng) = (QuorumConfig::default(), Prng::new(1));
        let quorum = Quorum::new(id(1), [id(1)], restored, config, prng, at(0));
        assert_eq!((quorum.commit(), quorum.last()), (Index(7), position(2, 7)));
    }
}

#[test]
fn a_leader_sends_its_snapshot_to_who_needs_what_is_gone() {
    let mut leader = restarted(position(1, 7), &[1, 1]);
    elect(&mut leader, at(5000));
    let refused = Body::Refused { previous: Index(9), hint: position(1, 7) };
    let effects = told(&mut leader, 3, 2, refused, at(5000));
    assert!(matches!(sent(&effects, 3)[..], [Body::Append { previous, .. }] if *previous == position(1, 7)));
    let refused = Body::Refused { previous: Index(7), hint: position(1, 6) };
    let effects = told(&mut leader, 3, 2, refused, at(5000));
    assert_eq!(sent(&effects, 3), [&Body::Snapshot(snapshot(1, 7))]);
    // Until that is answered it is sent nothing else, but now and then the same.
    assert_eq!(sent(&leader.step(Event::Propose(vec![Arc::default()]), at(5001)), 3).len(), 0);
    let effects = leader.step(Event::Tick, at(5200));
    assert_eq!(sent(&effects, 3), [&Body::Snapshot(snapshot(1, 7))]);
    let effects = told(&mut leader, 3, 2, Body::Appended { up_to: Index(7) }, at(5201));
    let Some(Body::Append { previous, entries, .. }) = sent(&effects, 3).first() else {
        panic!("{effects:?}")
    };
    assert_eq!((*previous, entries.len()), (position(1, 7), 4));
}

#[test]
fn a_follower_installs_what_it_lacks_durably_before_it_answers() {
    // What is not committed may be another one's.
    let mut quorum = voter(&[1, 1, 1]);
    let effects = told(&mut quorum, 2, 2, Body::Snapshot(snapshot(2, 3)), at(0));
    let answer = Message { term: Term(2), body: Body::Appended { up_to: Index(3) } };
    let wanted = [
        Effect::Save { term: Term(2), vote: None },
        Effect::Install(snapshot(2, 3)),
        Effect::Send { to: id(2), message: answer },
    ];
    assert_eq!(effects, wanted);
    assert_eq!((quorum.last(), quorum.base(), quorum.commit()), (position(2, 3), position(2, 3), Index(3)));
    assert_eq!(quorum.leader(), Some(id(2)));
    let append = Body::Append { previous: position(2, 3), entries: vec![entry(2, 4)], commit: Index(4) };
    let effects = told(&mut quorum, 2, 2, append, at(0));
    assert_eq!(sent(&effects, 2), [&Body::Appended { up_to: Index(4) }]);
    assert_eq!(quorum.commit(), Index(4));
}

#[test]
fn who_has_all_that_a_snapshot_has_installs_nothing() {
    let mut quorum = voter(&[1, 1, 1]);
    let effects = told(&mut quorum, 2, 1, Body::Snapshot(snapshot(1, 2)), at(0));
    assert_eq!(sent(&effects, 2), [&Body::Appended { up_to: Index(2) }]);
    assert_eq!((effects.len(), quorum.commit(), quorum.last()), (2, Index(2), position(1, 3)));
    // One that comes late, or twice.
    let effects = told(&mut quorum, 2, 1, Body::Snapshot(snapshot(1, 1)), at(0));
    assert_eq!((sent(&effects, 2), effects.len()), (vec![&Body::Appended { up_to: Index(1) }], 1));
}

#[test]
fn who_begins_later_takes_entries_that_begin_before() {
    let mut quorum = restarted(position(1, 3), &[1]);
    let entries = log(&[1; 6])[1..].to_vec();
    let append = Body::Append { previous: position(1, 1), entries, commit: Index(5) };
    let effects = told(&mut quorum, 2, 1, append, at(0));
    assert!(effects.contains(&Effect::Append(vec![entry(1, 5), entry(1, 6)])), "{effects:?}");
    assert_eq!(sent(&effects, 2), [&Body::Appended { up_to: Index(6) }]);
    assert_eq!((quorum.last(), quorum.commit()), (position(1, 6), Index(5)));
}

#[test]
fn a_snapshot_of_an_earlier_term_changes_nothing() {
    let mut quorum = voter(&[5]);
    let effects = told(&mut quorum, 2, 4, Body::Snapshot(snapshot(4, 9)), at(0));
    assert_eq!(sent(&effects, 2), [&Body::Refused { previous: Index(9), hint: Position::default() }]);
    assert_eq!((effects.len(), quorum.last(), quorum.commit()), (1, position(5, 1), Index(0)));
}
