//! Single situations in which other members vote from now on.

use super::*;
use crate::rpc::metadata_record::MetadataRecord;

fn set(ids: &[i32]) -> BTreeSet<BrokerId> {
    ids.iter().map(|n| id(*n)).collect()
}

fn voters_entry(term: u64, index: u64, ids: &[i32]) -> Entry {
    let payload = [MetadataRecord::Voters { voters: set(ids) }].into();
    Entry { term: Term(term), index: Index(index), payload }
}

/// Voter 1 of 1 to 3 leads, and its own first entry, 2, is committed; member 4 has the log, too.
fn leader() -> Quorum {
    let mut quorum = voter(&[1]);
    elect(&mut quorum, at(5000));
    quorum.step(Event::SetObservers(vec![id(4)]), at(5000));
    for from in [2, 4] {
        told(&mut quorum, from, 2, Body::Appended { up_to: Index(2) }, at(5000));
    }
    assert_eq!(quorum.commit(), Index(2));
    quorum
}

fn change(quorum: &mut Quorum, ids: &[i32]) -> Vec<Effect> {
    quorum.step(Event::ChangeVoters(set(ids)), at(5000))
}

#[test]
fn a_new_voter_counts_from_when_it_is_in_the_log() {
    let mut quorum = leader();
    let effects = change(&mut quorum, &[1, 2, 3, 4]);
    assert!(effects.contains(&Effect::Append(vec![voters_entry(2, 3, &[1, 2, 3, 4])])), "{effects:?}");
    assert_eq!((quorum.voters(), sent(&effects, 4).len()), (&set(&[1, 2, 3, 4]), 1));
    // Of four two are not enough.
    told(&mut quorum, 2, 2, Body::Appended { up_to: Index(3) }, at(5001));
    assert_eq!(quorum.commit(), Index(2));
    told(&mut quorum, 4, 2, Body::Appended { up_to: Index(3) }, at(5001));
    assert_eq!(quorum.commit(), Index(3));
}

#[test]
fn one_voter_at_a_time_comes_or_goes_when_all_is_settled() {
    let mut quorum = voter(&[1]);
    elect(&mut quorum, at(5000));
    // What is committed is not known before the leader's own first entry is.
    assert!(!quorum.may_change_voters(&set(&[1, 2])));
    assert_eq!(change(&mut quorum, &[1, 2]), []);
    let mut quorum = leader();
    for refused in [&[][..], &[1, 2, 3], &[1], &[1, 2, 3, 4, 5], &[1, 2, 4]] {
        assert_eq!(change(&mut quorum, refused), [], "{refused:?}");
    }
    // Who has not got the log yet would only hold everybody up.
    assert_eq!(change(&mut quorum, &[1, 2, 3, 9]), []);
    assert!(!change(&mut quorum, &[1, 2]).is_empty());
    assert_eq!(change(&mut quorum, &[1, 2, 4]), [], "the last change is under way");
    told(&mut quorum, 2, 2, Body::Appended { up_to: Index(3) }, at(5001));
    assert!(!change(&mut quorum, &[1, 2, 4]).is_empty());
    assert!(!voter(&[1]).may_change_voters(&set(&[1, 2])), "it does not lead");
}

#[test]
fn a_leader_that_is_no_voter_any_more_goes_on_until_that_is_committed() {
    let mut quorum = leader();
    assert!(!change(&mut quorum, &[2, 3]).contains(&Effect::Resigned));
    assert!(!quorum.votes() && quorum.role() == Role::Leader);
    // It does not count itself.
    assert_eq!(told(&mut quorum, 2, 2, Body::Appended { up_to: Index(3) }, at(5001)), []);
    let effects = told(&mut quorum, 3, 2, Body::Appended { up_to: Index(3) }, at(5001));
    assert_eq!(effects.first(), Some(&Effect::Committed { up_to: Index(3) }));
    assert_eq!(effects.last(), Some(&Effect::Resigned));
    assert!(!sent(&effects, 2).is_empty(), "the others are told what is committed");
    assert_eq!((quorum.role(), quorum.next_deadline()), (Role::Observer, Instant::MAX));
}

#[test]
fn a_change_that_is_truncated_is_none() {
    let mut quorum = voter(&[1]);
    let append = |previous, entries| Body::Append { previous, entries, commit: Index(1) };
    told(&mut quorum, 2, 1, append(position(1, 1), vec![voters_entry(1, 2, &[2, 3])]), at(0));
    assert_eq!((quorum.votes(), quorum.voters()), (false, &set(&[2, 3])));
    told(&mut quorum, 3, 2, append(position(1, 1), vec![entry(2, 2)]), at(10));
    assert_eq!((quorum.votes(), quorum.voters()), (true, &set(&[1, 2, 3])));
    assert!(quorum.next_deadline() < at(3000));
}

/// Of 1 and 2, 1 led, removed itself, and crashed before 2 heard of it: 2 cannot be elected over 1, whose log has more.
#[test]
fn one_that_may_alone_have_its_removal_stands_without_counting_itself() {
    let log = vec![entry(1, 1), voters_entry(1, 2, &[2])];
    let restored = Restored { term: Term(1), log, ..Restored::default() };
    let (config, prng) = (QuorumConfig::default(), Prng::new(1));
    let mut quorum = Quorum::new(id(1), [id(1), id(2)], restored, config, prng, at(0));
    let effects = quorum.step(Event::Tick, at(5000));
    assert_eq!((sent(&effects, 2).len(), quorum.role()), (1, Role::PreCandidate));
    told(&mut quorum, 2, 1, Body::PreVoted { granted: true }, at(5000));
    assert_eq!((quorum.role(), quorum.term()), (Role::Candidate, Term(2)));
    told(&mut quorum, 2, 2, Body::Voted { granted: true }, at(5000));
    assert_eq!((quorum.role(), quorum.commit()), (Role::Leader, Index(0)));
    let effects = told(&mut quorum, 2, 2, Body::Appended { up_to: Index(3) }, at(5000));
    assert_eq!(effects.last(), Some(&Effect::Resigned));
    assert_eq!(
        (quorum.role(), quorum.commit(), quorum.next_deadline()),
        (Role::Observer, Index(3), Instant::MAX)
    );
    // Who knows that it is committed does not stand.
    let mut quorum = voter(&[1]);
    let entries = vec![voters_entry(1, 2, &[2, 3])];
    let append = Body::Append { previous: position(1, 1), entries, commit: Index(2) };
    told(&mut quorum, 2, 1, append, at(0));
    assert_eq!((quorum.role(), quorum.next_deadline()), (Role::Observer, Instant::MAX));
}

#[test]
fn a_snapshot_and_the_log_behind_it_tell_who_votes() {
    let records: Payload = [MetadataRecord::Voters { voters: set(&[1, 5]) }].into();
    let snapshot = Snapshot { position: position(1, 4), records };
    let mut restored = Restored { snapshot: snapshot.clone(), base: position(1, 2), ..Restored::default() };
    restored.log = vec![voters_entry(1, 3, &[1, 2]), entry(1, 4)];
    let start =
        |restored| Quorum::new(id(1), (1..4).map(id), restored, QuorumConfig::default(), Prng::new(1), at(0));
    assert_eq!(start(restored.clone()).voters(), &set(&[1, 5]));
    restored.log.push(voters_entry(1, 5, &[5]));
    let quorum = start(restored);
    assert_eq!((quorum.voters(), quorum.votes()), (&set(&[5]), false));
    let mut quorum = voter(&[]);
    told(&mut quorum, 2, 1, Body::Snapshot(snapshot), at(0));
    assert_eq!((quorum.voters(), quorum.role()), (&set(&[1, 5]), Role::Follower));
}

#[test]
fn who_asks_for_a_vote_or_leads_may_be_one_that_is_no_voter_yet() {
    let mut quorum = voter(&[1]);
    let effects = told(&mut quorum, 7, 2, Body::Vote { last: position(1, 1) }, at(0));
    assert_eq!(sent(&effects, 7), [&Body::Voted { granted: true }]);
    let append = Body::Append { previous: position(1, 1), entries: vec![entry(2, 2)], commit: Index(1) };
    let effects = told(&mut quorum, 7, 2, append, at(0));
    assert_eq!(sent(&effects, 7), [&Body::Appended { up_to: Index(2) }]);
    // And so may whoever is asked: the candidate knows better who votes.
    let (config, prng) = (QuorumConfig::default(), Prng::new(1));
    let mut observer = Quorum::new(id(9), (1..4).map(id), Restored::default(), config, prng, at(0));
    let effects = told(&mut observer, 1, 2, Body::Vote { last: position(1, 1) }, at(0));
    assert_eq!(sent(&effects, 1), [&Body::Voted { granted: true }]);
    assert_eq!((observer.role(), observer.next_deadline()), (Role::Observer, Instant::MAX));
    // But only a voter's vote counts.
    let mut quorum = voter(&[1]);
    assert!(!quorum.step(Event::Tick, at(5000)).is_empty());
    told(&mut quorum, 9, 1, Body::PreVoted { granted: true }, at(5000));
    assert_eq!(quorum.role(), Role::PreCandidate);
}
