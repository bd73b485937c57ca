//! Single situations; [`simulation`] has all the others.

mod checker;
mod simulation;
mod snapshots;
mod voters;
mod world;

use super::*;
use std::sync::Arc;
use world::id;

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Instant {
    Instant::default().plus(Duration::from_millis(millis))
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { term: Term(term), index: Index(index), payload: Arc::default() }
}

fn log(terms: &[u64]) -> Vec<Entry> {
    (1..).zip(terms).map(|(index, term)| entry(*term, index)).collect()
}

/// Voter 1 of 1 to 3, with a log of these terms, in the last one's term.
fn voter(terms: &[u64]) -> Quorum {
    let term = Term(terms.last().copied().unwrap_or(0));
    let restored = Restored { term, log: log(terms), ..Restored::default() };
    Quorum::new(id(1), (1..4).map(id), restored, QuorumConfig::default(), Prng::new(1), at(0))
}

fn told(quorum: &mut Quorum, from: i32, term: u64, body: Body, now: Instant) -> Vec<Effect> {
    let message = Message { term: Term(term), body };
    quorum.step(Event::Received { from: id(from), message }, now)
}

fn sent(effects: &[Effect], to: i32) -> Vec<&Body> {
    let body = |effect| match effect {
        &Effect::Send { to: whom, ref message } if whom == id(to) => Some(&message.body),
        _ => None,
    };
    effects.iter().filter_map(body).collect()
}

/// Has voter 1 be elected by voter 2.
fn elect(quorum: &mut Quorum, now: Instant) -> Vec<Effect> {
    assert!(!quorum.step(Event::Tick, now).is_empty());
    let term = quorum.term().0;
    told(quorum, 2, term, Body::PreVoted { granted: true }, now);
    told(quorum, 2, term + 1, Body::Voted { granted: true }, now)
}

fn position(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: Index(index) }
}

#[test]
fn a_voter_alone_elects_itself_and_commits_at_once() {
    let (config, prng) = (QuorumConfig::default(), Prng::new(1));
    let mut alone = Quorum::new(id(1), [id(1)], Restored::default(), config, prng, at(0));
    let deadline = alone.next_deadline();
    let effects = alone.step(Event::Tick, deadline);
    let (term, vote) = (Term(1), Some(id(1)));
    let wanted = [
        Effect::Save { term, vote },
        Effect::Elected { term, first: Index(1) },
        Effect::Append(log(&[1])),
        Effect::Committed { up_to: Index(1) },
    ];
    assert_eq!(effects, wanted);
    let effects = alone.step(Event::Propose(vec![Arc::default(), Arc::default()]), deadline);
    assert_eq!(
        effects,
        [Effect::Append(log(&[1, 1, 1])[1..].to_vec()), Effect::Committed { up_to: Index(3) }]
    );
    assert_eq!(alone.step(Event::Tick, deadline.plus(100 * SECOND)), []);
}

#[test]
fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let mut quorum = voter(&[1, 2]);
    elect(&mut quorum, at(5000));
    assert_eq!((quorum.role(), quorum.term()), (Role::Leader, Term(3)));
    assert_eq!(told(&mut quorum, 2, 3, Body::Appended { up_to: Index(2) }, at(5000)).len(), 1);
    assert_eq!(quorum.commit(), Index(0));
    let effects = told(&mut quorum, 2, 3, Body::Appended { up_to: Index(3) }, at(5000));
    assert!(effects.contains(&Effect::Committed { up_to: Index(3) }));
}

#[test]
fn a_term_and_its_vote_are_durable_before_the_vote_is_told() {
    let mut quorum = voter(&[1]);
    let effects = told(&mut quorum, 2, 5, Body::Vote { last: position(1, 1) }, at(0));
    let save = Effect::Save { term: Term(5), vote: Some(id(2)) };
    let message = Message { term: Term(5), body: Body::Voted { granted: true } };
    assert_eq!(effects, [save, Effect::Send { to: id(2), message }]);
    let effects = told(&mut quorum, 3, 5, Body::Vote { last: position(4, 9) }, at(0));
    assert_eq!(sent(&effects, 3), [&Body::Voted { granted: false }]);
}

#[test]
fn a_vote_outlasts_a_restart() {
    let restored = Restored { term: Term(5), vote: Some(id(2)), ..Restored::default() };
    let config = QuorumConfig::default();
    let mut quorum = Quorum::new(id(1), (1..4).map(id), restored, config, Prng::new(1), at(0));
    for (from, granted) in [(3, false), (2, true)] {
        let effects = told(&mut quorum, from, 5, Body::Vote { last: position(4, 9) }, at(0));
        assert_eq!(sent(&effects, from), [&Body::Voted { granted }]);
    }
}

#[test]
fn a_leader_of_an_earlier_term_changes_nothing_and_is_told_the_later_one() {
    let mut quorum = voter(&[1, 5]);
    let append = Body::Append { previous: position(1, 1), entries: vec![entry(4, 2)], commit: Index(2) };
    let effects = told(&mut quorum, 2, 4, append, at(0));
    let refused = Body::Refused { previous: Index(1), hint: Position::default() };
    assert_eq!(effects, [Effect::Send { to: id(2), message: Message { term: Term(5), body: refused } }]);
    assert_eq!((quorum.last(), quorum.commit(), quorum.leader()), (position(5, 2), Index(0), None));
}

#[test]
fn what_lies_behind_the_leaders_entries_is_not_committed_with_them() {
    let mut quorum = voter(&[1, 1, 2]);
    let append = Body::Append { previous: position(1, 1), entries: vec![entry(1, 2)], commit: Index(3) };
    let effects = told(&mut quorum, 2, 3, append, at(0));
    assert!(effects.contains(&Effect::Committed { up_to: Index(2) }));
    assert_eq!((quorum.commit(), quorum.last()), (Index(2), position(2, 3)));
}

#[test]
fn who_lacks_entries_gets_no_vote() {
    let mut quorum = voter(&[1, 2, 2]);
    for (last, granted) in [(position(2, 2), false), (position(1, 9), false), (position(2, 3), true)] {
        let effects = told(&mut quorum, 2, 2, Body::PreVote { last }, at(0));
        assert_eq!(sent(&effects, 2), [&Body::PreVoted { granted }]);
        let effects = told(&mut quorum, 2, 9, Body::Vote { last }, at(0));
        assert_eq!(sent(&effects, 2), [&Body::Voted { granted }]);
        quorum = voter(&[1, 2, 2]);
    }
}

#[test]
fn who_hears_from_a_leader_votes_for_nobody_and_keeps_its_term() {
    let mut quorum = voter(&[1]);
    let beat = Body::Append { previous: position(1, 1), entries: Vec::new(), commit: Index(0) };
    told(&mut quorum, 2, 1, beat, at(500));
    let effects = told(&mut quorum, 3, 7, Body::Vote { last: position(6, 9) }, at(1499));
    assert_eq!((sent(&effects, 3), quorum.term()), (vec![&Body::Voted { granted: false }], Term(1)));
    let effects = told(&mut quorum, 3, 7, Body::Vote { last: position(6, 9) }, at(1500));
    assert_eq!((sent(&effects, 3), quorum.term()), (vec![&Body::Voted { granted: true }], Term(7)));
}

#[test]
fn one_who_hears_nobody_does_not_raise_its_term() {
    let mut quorum = voter(&[1]);
    for second in 2..100 {
        quorum.step(Event::Tick, at(second * 1000));
    }
    assert_eq!((quorum.role(), quorum.term()), (Role::PreCandidate, Term(1)));
}

#[test]
fn a_leader_that_hears_no_majority_resigns() {
    let mut quorum = voter(&[1]);
    elect(&mut quorum, at(5000));
    told(&mut quorum, 3, 2, Body::Appended { up_to: Index(2) }, at(5900));
    assert!(!quorum.step(Event::Tick, at(6899)).contains(&Effect::Resigned));
    assert_eq!(quorum.step(Event::Tick, at(6900)), [Effect::Resigned]);
    assert_eq!((quorum.role(), quorum.leader(), quorum.term()), (Role::Follower, None, Term(2)));
}

#[test]
fn an_observer_does_not_count() {
    let mut quorum = voter(&[1]);
    elect(&mut quorum, at(5000));
    let effects = quorum.step(Event::SetObservers(vec![id(8), id(9), id(2)]), at(5000));
    assert_eq!((sent(&effects, 8).len(), sent(&effects, 2).len()), (1, 0));
    for observer in [8, 9] {
        told(&mut quorum, observer, 2, Body::Appended { up_to: Index(2) }, at(5900));
    }
    assert_eq!(quorum.commit(), Index(0));
    assert!(quorum.step(Event::Tick, at(6000)).contains(&Effect::Resigned));
}

#[test]
fn what_is_committed_is_never_truncated() {
    let mut quorum = voter(&[1, 1, 1]);
    let append = |previous, entries| Body::Append { previous, entries, commit: Index(2) };
    told(&mut quorum, 2, 1, append(position(1, 2), Vec::new()), at(0));
    assert_eq!(quorum.commit(), Index(2));
    assert_eq!(told(&mut quorum, 2, 4, append(position(1, 1), vec![entry(4, 2)]), at(0)).len(), 1);
    let effects = told(&mut quorum, 2, 4, append(position(1, 2), vec![entry(4, 3)]), at(0));
    let answer = Message { term: Term(4), body: Body::Appended { up_to: Index(3) } };
    let send = Effect::Send { to: id(2), message: answer };
    assert_eq!(effects, [Effect::Truncate { from: Index(3) }, Effect::Append(vec![entry(4, 3)]), send]);
}

#[test]
fn a_late_append_does_not_cut_what_came_behind_it() {
    let mut quorum = voter(&[]);
    let append = |entries| Body::Append { previous: Position::default(), entries, commit: Index(0) };
    told(&mut quorum, 2, 1, append(log(&[1, 1, 1])), at(0));
    let effects = told(&mut quorum, 2, 1, append(log(&[1])), at(0));
    assert_eq!(sent(&effects, 2), [&Body::Appended { up_to: Index(1) }]);
    assert_eq!((effects.len(), quorum.last()), (1, position(1, 3)));
}

#[test]
fn a_follower_far_behind_catches_up_in_a_round_for_each_term_and_full_messages() {
    let mut leader = voter(&[&[1; 300][..], &[3; 300]].concat());
    let log = log(&[&[1; 100][..], &[2; 300]].concat());
    let restored = Restored { term: Term(2), log, ..Restored::default() };
    let config = QuorumConfig::default();
    let mut follower = Quorum::new(id(3), (1..4).map(id), restored, config, Prng::new(2), at(0));
    let mut effects = elect(&mut leader, at(5000));
    effects.extend(leader.step(Event::Tick, at(5200)));
    let mut rounds = 0;
    while let Some(Effect::Send { message, .. }) =
        effects.iter().rfind(|e| matches!(e, Effect::Send { to, .. } if *to == id(3)))
    {
        let event = Event::Received { from: id(1), message: message.clone() };
        let answers = follower.step(event, at(5200));
        let Some(Effect::Send { message, .. }) = answers.iter().find(|e| matches!(e, Effect::Send { .. }))
        else {
            break;
        };
        effects = leader.step(Event::Received { from: id(3), message: message.clone() }, at(5200));
        rounds += 1;
    }
    assert_eq!((follower.last(), follower.commit()), (position(4, 601), Index(601)));
    assert!(rounds <= 6, "{rounds} rounds");
}
