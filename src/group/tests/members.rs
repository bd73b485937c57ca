//! Members come and go.

use super::*;

/// A leader and another one, who have joined and not asked for their parts.
fn two_joined(kept: &mut Kept) -> [Joined; 2] {
    let first = kept.stable(1).remove(0);
    let (second, again) = (kept.join(""), kept.join(&first.member_id));
    [kept.joined(again), kept.joined(second)]
}

#[test]
fn a_first_member_is_alone_at_once_and_a_second_waits_until_it_joins_again() {
    let mut kept = Kept::new();
    let first = kept.stable(1).remove(0);
    assert_eq!((first.leader.as_str(), first.generation), (first.member_id.as_str(), Generation(1)));
    let second = kept.join("");
    assert!(kept.answer(second).is_none());
    assert_eq!(kept.to_join, [first.member_id.as_str()]);
    assert_eq!(kept.group.state(), GroupState::PreparingRebalance);
    let identity = identity(&first, None);
    assert!(matches!(kept.heartbeat(&identity), Err(Error::RebalanceInProgress { .. })));
    let first = kept.join(&first.member_id);
    let (first, second) = (kept.joined(first), kept.joined(second));
    assert_eq!((first.generation, second.generation), (Generation(2), Generation(2)));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    let waits = kept.sync(&second, &[]);
    assert!(kept.answer(waits).is_none());
    let (one, two) = (first.member_id.clone(), second.member_id.clone());
    let leads = kept.sync(&first, &[(&one, "a"), (&two, "b")]);
    assert_eq!((kept.part(leads), kept.part(waits)), ("a".to_owned(), "b".to_owned()));
    assert_eq!(kept.group.state(), GroupState::Stable);
}

#[test]
fn an_id_that_was_given_out_is_waited_for_and_counts_for_nothing_until_then() {
    let mut kept = Kept::new();
    let mut join = kept.join_event("", None, &[("range", "t")]);
    join.asked.requires_known_member_id = true;
    let answer = kept.answered(|request| Event::Join(request, join.clone()));
    let Ok(Response::JoinGroup(JoinGroupResponse::MemberIdRequired(id))) = answer else {
        panic!("{answer:?}")
    };
    assert!(kept.group.members().is_empty());
    // Another one comes first, and waits for it.
    let other = kept.join("");
    assert!(kept.answer(other).is_none());
    let named = kept.join(&id);
    assert_eq!(kept.joined(named).generation, kept.joined(other).generation);
    // One that does not come back is waited for no longer than its session.
    let answer =
        kept.answered(|request| Event::Join(request, Join { new_member_id: "x".to_owned(), ..join }));
    assert!(answer.is_ok());
    kept.advance(SESSION);
    let late = kept.join("x");
    assert!(matches!(refused(kept.answer(late)), Error::UnknownMemberId { .. }));
}

#[test]
fn who_is_silent_for_its_session_is_gone_and_who_beats_stays() {
    let mut kept = Kept::new();
    let members = kept.stable(2);
    let lives = identity(&members[0], None);
    for _ in 0..3 {
        kept.advance(SESSION / 3);
        // After the other one is gone there is a rebalance to hear of.
        let beat = kept.heartbeat(&lives);
        assert!(beat.is_ok() || matches!(beat, Err(Error::RebalanceInProgress { .. })), "{beat:?}");
    }
    kept.advance(SESSION / 10);
    assert_eq!(kept.group.members().len(), 1);
    let dead = identity(&members[1], None);
    assert!(matches!(kept.heartbeat(&dead), Err(Error::UnknownMemberId { .. })));
    let again = kept.join(&members[0].member_id);
    let again = kept.joined(again);
    assert_eq!((again.generation, again.members.len()), (Generation(3), 1));
}

#[test]
fn who_does_not_join_again_in_time_is_gone_though_its_heart_beats() {
    let mut kept = Kept::new();
    let members = kept.stable(2);
    let other = kept.join("");
    let joins = kept.join(&members[0].member_id);
    let stuck = identity(&members[1], None);
    for _ in 0..REBALANCE.as_secs() / 5 - 1 {
        kept.advance(Duration::from_secs(5));
        assert!(matches!(kept.heartbeat(&stuck), Err(Error::RebalanceInProgress { .. })));
    }
    assert!(kept.answer(joins).is_none());
    kept.advance(Duration::from_secs(5));
    assert_eq!(kept.joined(joins).members.len(), 2);
    assert!(kept.answer(other).is_some());
    assert!(matches!(kept.heartbeat(&stuck), Err(Error::UnknownMemberId { .. })));
}

#[test]
fn who_does_not_ask_for_its_part_in_time_is_gone() {
    let mut kept = Kept::new();
    let [first, second] = two_joined(&mut kept);
    let id = first.member_id.clone();
    let sync = kept.sync(&first, &[(&id, "all")]);
    assert_eq!(kept.part(sync), "all");
    let (asks, silent) = (identity(&first, None), identity(&second, None));
    // It beats its heart, but does not ask.
    for _ in 0..REBALANCE.as_secs() / 5 - 1 {
        kept.advance(Duration::from_secs(5));
        kept.heartbeat(&silent).unwrap();
        kept.heartbeat(&asks).unwrap();
    }
    kept.advance(Duration::from_secs(5));
    assert!(matches!(kept.heartbeat(&silent), Err(Error::UnknownMemberId { .. })));
    assert!(matches!(kept.heartbeat(&asks), Err(Error::RebalanceInProgress { .. })));
}

#[test]
fn a_leader_that_does_not_divide_in_time_is_gone() {
    let mut kept = Kept::new();
    let [first, second] = two_joined(&mut kept);
    let waits = kept.sync(&second, &[]);
    for _ in 0..REBALANCE.as_secs() / 5 {
        assert!(kept.heartbeat(&identity(&first, None)).is_ok());
        kept.advance(Duration::from_secs(5));
    }
    assert!(matches!(kept.heartbeat(&identity(&first, None)), Err(Error::UnknownMemberId { .. })));
    assert!(matches!(refused(kept.answer(waits)), Error::RebalanceInProgress { .. }));
    let again = kept.join(&second.member_id);
    let again = kept.joined(again);
    kept.assign(&[again]);
}

#[test]
fn when_all_are_gone_the_group_is_empty_and_its_generation_goes_on() {
    let mut kept = Kept::new();
    let member = kept.stable(1).remove(0);
    kept.leave(&member.member_id).unwrap();
    assert_eq!((kept.group.state(), kept.group.members().len()), (GroupState::Empty, 0));
    assert!(matches!(kept.leave(&member.member_id), Err(Error::UnknownMemberId { .. })));
    let next = kept.join("");
    assert_eq!(kept.joined(next).generation, Generation(3));
}

#[test]
fn a_leader_that_leaves_is_followed_by_another() {
    let mut kept = Kept::new();
    let members = kept.stable(3);
    kept.leave(&members[0].member_id).unwrap();
    let joins = [kept.join(&members[1].member_id), kept.join(&members[2].member_id)];
    let joined = joins.map(|join| kept.joined(join));
    assert_eq!(joined[0].leader, joined[1].leader);
    assert_ne!(joined[0].leader, members[0].member_id);
    assert_eq!(joined.iter().map(|member| member.members.len()).max(), Some(2));
}

#[test]
fn a_member_that_missed_the_answer_gets_it_again_and_one_that_says_something_new_has_all_rebalance() {
    let mut kept = Kept::new();
    let members = kept.stable(2);
    let follower = &members[1].member_id;
    let again = kept.join(follower);
    assert_eq!(kept.joined(again).generation, Generation(2));
    let other = kept.join_event(follower, None, &[("range", "t,u")]);
    let changed = kept.ask(|request| Event::Join(request, other));
    assert!(kept.answer(changed).is_none() && kept.group.state() == GroupState::PreparingRebalance);
    let leader = kept.join(&members[0].member_id);
    assert_eq!(kept.joined(leader).generation, Generation(3));
    // A leader that joins again has something to divide anew.
    let joined = kept.joined(changed);
    assert_eq!(&*joined.protocol, "range");
}

#[test]
fn the_assignor_is_one_that_all_have_and_most_like_best() {
    let mut kept = Kept::new();
    let lists: [&[(&str, &str)]; 3] = [
        &[("range", "1"), ("sticky", "2"), ("odd", "3")],
        &[("sticky", "4"), ("range", "5")],
        &[("sticky", "6"), ("range", "7")],
    ];
    let first = kept.join_event("", None, lists[0]);
    let first = kept.ask(|request| Event::Join(request, first));
    let first = kept.joined(first);
    assert_eq!(first.protocol, "range");
    let others: Vec<RequestId> = lists[1..]
        .iter()
        .map(|list| {
            let join = kept.join_event("", None, list);
            kept.ask(|request| Event::Join(request, join))
        })
        .collect();
    let again = kept.join_event(&first.member_id, None, lists[0]);
    let again = kept.ask(|request| Event::Join(request, again));
    let again = kept.joined(again);
    assert_eq!(again.protocol, "sticky");
    let said: Vec<&[u8]> = again.members.iter().map(|member| &*member.metadata).collect();
    assert_eq!(said, [b"2", b"4", b"6"]);
    others.into_iter().for_each(|other| drop(kept.joined(other)));
    let join = kept.join_event("", None, &[("odd", "")]);
    let answer = kept.answered(|request| Event::Join(request, join));
    assert!(matches!(answer, Err(Error::InconsistentGroupProtocol { .. })));
    let mut join = kept.join_event("", None, &[("range", "")]);
    join.asked.protocol_type = "connect".to_owned();
    let answer = kept.answered(|request| Event::Join(request, join));
    assert!(matches!(answer, Err(Error::InconsistentGroupProtocol { .. })));
}

#[test]
fn limits_hold() {
    let limits = Limits { max_size: 1, ..Limits::default() };
    let mut kept = Kept::with(limits);
    kept.stable(1);
    let join = kept.join("");
    assert!(matches!(refused(kept.answer(join)), Error::GroupMaxSizeReached { limit: 1, .. }));
    for session_timeout in [Duration::from_secs(5), Duration::from_secs(1801)] {
        let mut join = kept.join_event("", None, &[("range", "")]);
        join.asked.session_timeout = session_timeout;
        let answer = kept.answered(|request| Event::Join(request, join));
        assert!(matches!(answer, Err(Error::InvalidSessionTimeout { .. })));
    }
}

#[test]
fn the_first_members_wait_for_others_as_long_as_some_come() {
    let initial_rebalance_delay = Duration::from_secs(3);
    let mut kept = Kept::with(Limits { initial_rebalance_delay, ..Limits::default() });
    let first = kept.join("");
    kept.advance(Duration::from_secs(2));
    let second = kept.join("");
    kept.advance(Duration::from_secs(2));
    assert!(kept.answer(first).is_none());
    kept.advance(Duration::from_secs(1));
    assert_eq!(kept.joined(first).members.len(), 2);
    assert_eq!(kept.joined(second).generation, Generation(1));
}

#[test]
fn rule_50_a_static_member_that_is_back_takes_its_place_without_a_rebalance() {
    let mut kept = Kept::new();
    let join = kept.join_event("", Some("one"), &[("range", "t")]);
    let first = kept.ask(|request| Event::Join(request, join));
    let first = kept.joined(first);
    let sync = kept.sync_as(&first, Some("one"), &[(&first.member_id.clone(), "all")]);
    assert_eq!(kept.part(sync), "all");
    // It says something else, which does not matter.
    let join = kept.join_event("", Some("one"), &[("range", "t,u")]);
    let back = kept.ask(|request| Event::Join(request, join));
    let back = kept.joined(back);
    assert_eq!((back.generation, back.skip_assignment), (first.generation, true));
    assert!(back.member_id != first.member_id && back.leader == back.member_id && kept.to_join.is_empty());
    let sync = kept.sync_as(&back, Some("one"), &[]);
    assert_eq!(kept.part(sync), "all");
    let old = identity(&first, Some("one"));
    assert!(matches!(kept.heartbeat(&old), Err(Error::FencedInstanceId { .. })));
    assert!(matches!(kept.commit(Some(&old), 1), Err(Error::FencedInstanceId { .. })));
    let nameless = identity(&first, None);
    assert!(matches!(kept.heartbeat(&nameless), Err(Error::UnknownMemberId { .. })));
    // The record says so, too.
    assert_eq!(kept.replayed(1).members()[0].member_id, back.member_id);
    // Sent away by its name.
    let (member_id, instance_id) = (String::new(), Some("one".to_owned()));
    let gone = kept.answered(|request| Event::Leave { request, member_id, instance_id });
    assert!(gone.is_ok() && kept.group.state() == GroupState::Empty);
}

#[test]
fn a_static_member_that_is_away_is_waited_for_until_its_session_is_over() {
    let mut kept = Kept::new();
    let join = kept.join_event("", Some("one"), &[("range", "t")]);
    let first = kept.ask(|request| Event::Join(request, join));
    let first = kept.joined(first);
    let sync = kept.sync_as(&first, Some("one"), &[(&first.member_id.clone(), "all")]);
    assert_eq!(kept.part(sync), "all");
    let second = kept.join("");
    kept.advance(SESSION - Duration::from_secs(1));
    assert!(kept.answer(second).is_none());
    kept.advance(Duration::from_secs(1));
    assert_eq!(kept.joined(second).members.len(), 1);
}

#[test]
fn a_part_that_cannot_be_noted_is_not_handed_out() {
    let mut kept = Kept::new();
    let join = kept.join("");
    let joined = kept.joined(join);
    let request = kept.request();
    let (member, protocol) = (identity(&joined, None), joined.protocol.clone());
    let assignments = vec![(joined.member_id.clone(), b"all".as_slice().into())];
    let full = |_: &[GroupRecord]| Err(Error::Timeout);
    kept.step_writing(Event::Sync { request, member, protocol, assignments }, full);
    assert!(matches!(refused(kept.answer(request)), Error::Timeout));
    assert_eq!(kept.group.state(), GroupState::PreparingRebalance);
    let again = kept.join(&joined.member_id);
    let again = kept.joined(again);
    kept.assign(&[again]);
}
