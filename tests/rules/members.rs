//! Rules 44 to 53: several members of a group, seen by an application.

use crate::common::{
    Backend, assert_refused, committed, in_virtual_time, on_a_simulated_broker, on_every_backend, put,
    put_numbers, refused, topic, values,
};
use brooklet::{
    Assignor, Client, Consumer, ConsumerConfig, CooperativeStickyAssignor, Error, GroupState, OffsetSpec,
    Offsets, RebalanceConsumer, RebalanceListener, Result, StickyAssignor, Subscription, TopicPartition,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

on_every_backend![
    rule_47_a_rebalance_gives_what_was_not_committed_to_the_next_owner,
    rule_51_a_cooperative_move_takes_two_rebalances,
    rule_52_range_gives_the_first_members_one_more,
    rule_53_no_partition_has_two_owners_while_members_come_and_go,
    rule_45_a_commit_of_one_who_was_left_behind_is_refused,
    rule_50_a_static_member_is_back_without_a_rebalance,
    a_member_that_leaves_or_is_dropped_leaves_its_partitions_to_the_others,
    the_listener_may_commit_what_is_done_before_it_goes,
    a_closed_consumer_tells_its_listener_and_a_dropped_one_does_not,
    a_listener_begins_where_it_wants_to,
    an_error_of_a_listener_comes_out_of_the_poll_and_the_rebalance_goes_on,
    with_automatic_commits_nothing_comes_twice_in_a_rebalance,
    positions_and_pauses_of_what_stays_survive_a_cooperative_rebalance,
    a_topic_that_is_made_later_is_read_by_who_has_named_it,
    partitions_that_are_added_are_assigned,
    topics_that_match_are_shared,
    a_poll_that_times_out_leaves_its_join_under_way,
    who_has_more_members_than_partitions_has_members_without_any,
    members_that_read_different_topics_get_only_their_own,
    a_group_agrees_on_an_assignor_that_all_have,
    what_is_not_assigned_is_not_committed,
];

in_virtual_time![
    a_member_that_does_not_beat_is_gone_after_its_session,
    a_member_that_does_not_poll_is_gone_after_its_patience,
];

on_a_simulated_broker![rule_49_offsets_go_after_their_retention,];

fn member(client: &Client, group: &str) -> Consumer {
    client.consumer(group).subscribe("t").unwrap()
}

fn cooperative(group: &str) -> ConsumerConfig {
    ConsumerConfig::new(group).assignor(CooperativeStickyAssignor)
}

/// Polls all in turn, hardly waiting, until `done`; what they hand out is thrown away.
#[track_caller]
fn poll_until(consumers: &mut [&mut Consumer], mut done: impl FnMut(&[&mut Consumer]) -> bool) {
    for _ in 0..1000 {
        if done(consumers) {
            return;
        }
        for consumer in consumers.iter_mut() {
            consumer.poll(Duration::from_millis(5)).unwrap();
        }
    }
    panic!("it does not come about: {:?}", consumers.iter().map(|c| c.assignment()).collect::<Vec<_>>());
}

/// How many partitions each has.
fn shares(consumers: &[&mut Consumer]) -> Vec<usize> {
    consumers.iter().map(|consumer| consumer.assignment().len()).collect()
}

/// Says that no partition has two owners, and gives how many have one.
#[track_caller]
fn owned(consumers: &[&mut Consumer]) -> usize {
    let all: Vec<TopicPartition> = consumers.iter().flat_map(|consumer| consumer.assignment()).collect();
    let one_each: BTreeSet<&TopicPartition> = all.iter().collect();
    assert_eq!(one_each.len(), all.len(), "{all:?}");
    all.len()
}

/// What a listener was told.
type Told = Arc<Mutex<Vec<(&'static str, Vec<i32>)>>>;

struct Notes(Told);

fn noting() -> (Notes, Told) {
    let told = Told::default();
    (Notes(Arc::clone(&told)), told)
}

fn take(told: &Told) -> Vec<(&'static str, Vec<i32>)> {
    std::mem::take(&mut told.lock().unwrap())
}

impl Notes {
    fn note(&self, what: &'static str, partitions: &[TopicPartition]) -> Result<()> {
        let numbers = partitions.iter().map(TopicPartition::partition).collect();
        self.0.lock().unwrap().push((what, numbers));
        Ok(())
    }
}

impl RebalanceListener for Notes {
    fn assigned(&mut self, _: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        self.note("assigned", partitions)
    }

    fn revoked(&mut self, _: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        self.note("revoked", partitions)
    }

    fn lost(&mut self, _: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        self.note("lost", partitions)
    }
}

fn rule_47_a_rebalance_gives_what_was_not_committed_to_the_next_owner(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let mut first = client.consumer(ConsumerConfig::new("g").max_poll_records(4)).subscribe("t").unwrap();
    first.poll(Duration::ZERO).unwrap();
    first.commit_offset().unwrap();
    assert_eq!(first.poll(Duration::ZERO).unwrap().len(), 4, "handed out, and not committed");
    let mut second = member(&client, "g");
    first.close().unwrap();
    assert_eq!(values(&crate::common::rest(&mut second)), crate::common::numbers(4..10));
}

fn rule_51_a_cooperative_move_takes_two_rebalances(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 4);
    let ((one, first_told), (two, second_told)) = (noting(), noting());
    let mut first = client.consumer(cooperative("g")).on_rebalance(one).subscribe("t").unwrap();
    first.poll(Duration::ZERO).unwrap();
    assert_eq!(take(&first_told), [("assigned", vec![0, 1, 2, 3])]);
    let mut second = client.consumer(cooperative("g")).on_rebalance(two).subscribe("t").unwrap();
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [2, 2]);
    first.poll(Duration::ZERO).unwrap();
    // What moves is revoked; what stays was never given up.
    let (told, got) = (take(&first_told), take(&second_told));
    let revoked: Vec<i32> =
        told.iter().filter(|(what, _)| *what == "revoked").flat_map(|(_, p)| p.clone()).collect();
    assert_eq!(revoked.len(), 2, "{told:?}");
    assert!(told.iter().all(|(what, p)| *what != "assigned" || p.is_empty()), "{told:?}");
    assert_eq!(got.iter().flat_map(|(_, p)| p.clone()).collect::<Vec<_>>(), revoked);
}

fn rule_52_range_gives_the_first_members_one_more(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 5);
    let named = |id: &str| ConsumerConfig::new("g").group_instance_id(id);
    let mut second = client.consumer(named("b")).subscribe("t").unwrap();
    let mut first = client.consumer(named("a")).subscribe("t").unwrap();
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [3, 2]);
    let numbers =
        |consumer: &Consumer| consumer.assignment().iter().map(TopicPartition::partition).collect::<Vec<_>>();
    assert_eq!((numbers(&first), numbers(&second)), (vec![0, 1, 2], vec![3, 4]));
    let there = client.admin().describe_group("g").unwrap();
    assert_eq!((there.state, there.assignor.as_deref()), (GroupState::Stable, Some("range")));
    assert_eq!(there.members.len(), 2);
    assert!(there.members.iter().all(|member| member.topics == ["t"]));
    let of_b = there.members.iter().find(|member| member.group_instance_id.as_deref() == Some("b")).unwrap();
    assert_eq!(of_b.assignment, second.assignment());
}

fn rule_53_no_partition_has_two_owners_while_members_come_and_go(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 7);
    let assignors: [fn() -> ConsumerConfig; 4] = [
        || ConsumerConfig::new("range"),
        || ConsumerConfig::new("round robin").assignor(brooklet::RoundRobinAssignor),
        || ConsumerConfig::new("sticky").assignor(StickyAssignor),
        || cooperative("cooperative"),
    ];
    for config in assignors {
        let mut members: Vec<Consumer> = Vec::new();
        // One comes, or the first goes.
        for comes in [true, true, true, false, true, false, false, true] {
            if comes {
                members.push(client.consumer(config()).subscribe("t").unwrap());
            } else {
                drop(members.remove(0));
            }
            let count = members.len();
            let mut all: Vec<&mut Consumer> = members.iter_mut().collect();
            let mut rounds = 0;
            poll_until(&mut all, |all| {
                rounds += 1;
                let even =
                    shares(all).iter().all(|share| (7 / count..=7usize.div_ceil(count)).contains(share));
                owned(all) == 7 && even
            });
            assert!(rounds < 20, "{rounds} rounds of polls");
        }
    }
}

fn rule_45_a_commit_of_one_who_was_left_behind_is_refused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put(&client, "t", "x");
    let mut first = client.consumer(cooperative("g")).subscribe("t").unwrap();
    let (records, handle) = (first.poll(Duration::ZERO).unwrap(), first.handle());
    assert_eq!(records.len(), 1);
    let mut second = client.consumer(cooperative("g")).subscribe("t").unwrap();
    // The group prepares a rebalance: who is a member still may commit.
    assert_eq!(client.admin().describe_group("g").unwrap().state, GroupState::PreparingRebalance);
    first.commit_offset().unwrap();
    handle.commit_offsets(&records).unwrap();
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
    let moved = second.assignment().remove(0);
    let error = refused(handle.commit_offsets(Offsets::from([(&moved, 0)])));
    assert!(matches!(&error, Error::CommitFailed { partition, .. } if *partition == moved), "{error:?}");
    assert!(error.is_fenced() && !error.is_retriable());
    first.commit_offset().unwrap();
}

fn rule_50_a_static_member_is_back_without_a_rebalance(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 4);
    let named = |id: &str| ConsumerConfig::new("g").group_instance_id(id);
    let mut stays = client.consumer(named("a")).subscribe("t").unwrap();
    let mut goes = client.consumer(named("b")).subscribe("t").unwrap();
    poll_until(&mut [&mut stays, &mut goes], |both| shares(both) == [2, 2]);
    let before = goes.assignment();
    goes.close().unwrap();
    assert_eq!(client.admin().describe_group("g").unwrap().members.len(), 2, "it does not leave");
    let mut back = client.consumer(named("b")).subscribe("t").unwrap();
    assert_eq!(back.assignment(), before, "at once");
    stays.poll(Duration::ZERO).unwrap();
    assert_eq!(client.admin().describe_group("g").unwrap().state, GroupState::Stable);
    // A second one of that name takes the place of the first.
    let other = client.consumer(named("b")).subscribe("t").unwrap();
    assert_eq!(other.assignment(), before);
    assert_refused!(
        back.commit_offset().and(back.commit_offsets([(&before[0], 1)])),
        Error::FencedInstanceId { .. }
    );
    if backend.is_virtual() {
        backend.advance(Duration::from_secs(4));
        for _ in 0..2 {
            assert_refused!(back.poll(Duration::ZERO), Error::FencedInstanceId { instance_id, .. } if instance_id == "b");
        }
        assert!(back.assignment().is_empty());
    }
}

fn a_member_that_leaves_or_is_dropped_leaves_its_partitions_to_the_others(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    let [mut a, mut b, mut c] = [0; 3].map(|_| member(&client, "g"));
    poll_until(&mut [&mut a, &mut b, &mut c], |all| shares(all) == [1, 1, 1]);
    drop(b);
    poll_until(&mut [&mut a, &mut c], |both| owned(both) == 3);
    c.close().unwrap();
    poll_until(&mut [&mut a], |one| shares(one) == [3]);
}

struct CommitAll;

impl RebalanceListener for CommitAll {
    fn revoked(&mut self, consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        assert_eq!(consumer.assignment(), partitions, "they are its own until this returns");
        assert!(consumer.position(&partitions[0])? >= 0);
        consumer.commit_offset()
    }
}

fn the_listener_may_commit_what_is_done_before_it_goes(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 5);
    let mut first = client.consumer("g").on_rebalance(CommitAll).subscribe("t").unwrap();
    assert_eq!(first.poll(Duration::ZERO).unwrap().len(), 5);
    let mut second = member(&client, "g");
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
    assert_eq!(committed(&second, "t", 0), Some(5));
}

fn a_closed_consumer_tells_its_listener_and_a_dropped_one_does_not(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let (notes, told) = noting();
    let mut consumer = client.consumer("g").on_rebalance(notes).subscribe("t").unwrap();
    assert!(take(&told).is_empty(), "only a poll tells");
    consumer.poll(Duration::ZERO).unwrap();
    consumer.close().unwrap();
    assert_eq!(take(&told), [("assigned", vec![0, 1]), ("revoked", vec![0, 1])]);
    let (notes, told) = noting();
    let mut consumer = client.consumer("g").on_rebalance(notes).subscribe("t").unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    drop(consumer);
    assert_eq!(take(&told), [("assigned", vec![0, 1])]);
}

struct FromTheEnd;

impl RebalanceListener for FromTheEnd {
    fn assigned(
        &mut self,
        consumer: &mut RebalanceConsumer<'_>,
        partitions: &[TopicPartition],
    ) -> Result<()> {
        partitions.iter().try_for_each(|of| consumer.seek(of, OffsetSpec::Latest))
    }
}

fn a_listener_begins_where_it_wants_to(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let mut consumer = client.consumer("g").on_rebalance(FromTheEnd).subscribe("t").unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    put(&client, "t", "new");
    let polled: Vec<_> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
    assert_eq!(values(&polled), ["new"]);
}

struct Fails;

impl RebalanceListener for Fails {
    fn assigned(&mut self, _: &mut RebalanceConsumer<'_>, _: &[TopicPartition]) -> Result<()> {
        Err(Error::other("not today"))
    }
}

fn an_error_of_a_listener_comes_out_of_the_poll_and_the_rebalance_goes_on(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put(&client, "t", "x");
    let mut consumer = client.consumer("g").on_rebalance(Fails).subscribe("t").unwrap();
    assert_refused!(consumer.poll(Duration::ZERO), Error::Other(why) if why.to_string() == "not today");
    assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 1, "no record was spent");
}

fn with_automatic_commits_nothing_comes_twice_in_a_rebalance(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 5);
    let config = || ConsumerConfig::new("g").enable_auto_commit(true);
    let mut first = client.consumer(config()).subscribe("t").unwrap();
    assert_eq!(first.poll(Duration::ZERO).unwrap().len(), 5);
    let mut second = client.consumer(config()).subscribe("t").unwrap();
    let mut again = 0;
    while second.assignment().is_empty() || first.assignment().len() != 1 {
        again += first.poll(Duration::ZERO).unwrap().len() + second.poll(Duration::ZERO).unwrap().len();
    }
    assert_eq!(again, 0);
    assert_eq!(committed(&first, "t", 0), Some(5));
}

fn positions_and_pauses_of_what_stays_survive_a_cooperative_rebalance(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 5);
    let mut first = client.consumer(cooperative("g")).subscribe("t").unwrap();
    let all = first.assignment();
    first.poll(Duration::ZERO).unwrap();
    first.seek(("t", 0), 3).unwrap();
    first.pause(&all).unwrap();
    let mut second = client.consumer(cooperative("g")).subscribe("t").unwrap();
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
    let stays = first.assignment();
    assert_eq!(first.paused(), stays);
    let expected = if stays[0].partition() == 0 { 3 } else { 0 };
    assert_eq!(first.position(&stays[0]).unwrap(), expected);
}

fn a_topic_that_is_made_later_is_read_by_who_has_named_it(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = client.consumer("g").subscribe(["t", "later"]).unwrap();
    assert_eq!(consumer.assignment(), [("t", 0).into()]);
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    topic(&client, "later", 2);
    put(&client, "later", "x");
    let polled: Vec<_> = consumer.poll(Duration::from_secs(10)).unwrap().into_iter().collect();
    assert_eq!(values(&polled), ["x"]);
    assert_eq!(consumer.assignment().len(), 3);
    // And one that is deleted, and made again.
    consumer.commit_offset().unwrap();
    client.admin().delete_topic("later").unwrap();
    let told = (0..5).find_map(|_| consumer.poll(Duration::ZERO).err()).expect("it is told, once");
    assert!(matches!(told, Error::UnknownTopicId { .. }), "{told:?}");
    poll_until(&mut [&mut consumer], |one| shares(one) == [1]);
    topic(&client, "later", 1);
    put(&client, "later", "y");
    let polled: Vec<_> = consumer.poll(Duration::from_secs(10)).unwrap().into_iter().collect();
    assert_eq!(values(&polled), ["y"], "rule 11: its own offsets");
}

fn partitions_that_are_added_are_assigned(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    for config in [ConsumerConfig::new("g"), cooperative("h")] {
        let count = client.admin().describe_topic("t").unwrap().partitions.len();
        let mut first = client.consumer(config.clone()).subscribe("t").unwrap();
        let mut second = client.consumer(config).subscribe("t").unwrap();
        poll_until(&mut [&mut first, &mut second], |both| owned(both) == count && !shares(both).contains(&0));
        client.admin().create_partitions("t", count as i32 + 2).unwrap();
        poll_until(&mut [&mut first, &mut second], |both| owned(both) == count + 2);
    }
}

fn topics_that_match_are_shared(backend: &mut Backend) {
    let client = backend.client();
    let matching = || Subscription::matching(|topic| topic.starts_with("a."));
    let mut first = client.consumer("g").subscribe(matching()).unwrap();
    let mut second = client.consumer("g").subscribe(matching()).unwrap();
    topic(&client, "a.one", 2);
    topic(&client, "b", 2);
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
    topic(&client, "a.two", 2);
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [2, 2]);
    client.admin().delete_topic("a.one").unwrap();
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
}

fn a_poll_that_times_out_leaves_its_join_under_way(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut first = member(&client, "g");
    let mut second = member(&client, "g");
    for _ in 0..3 {
        assert!(second.poll(Duration::from_millis(1)).unwrap().is_empty());
    }
    // Nobody has to wait for it to poll again: it has joined.
    first.poll(Duration::ZERO).unwrap();
    assert_eq!(first.assignment().len(), 1);
    second.poll(Duration::ZERO).unwrap();
    assert_eq!(second.assignment().len(), 1);
    let handle = second.handle();
    let third = member(&client, "g");
    handle.wakeup();
    assert_refused!(second.poll(Duration::from_secs(60)), Error::Wakeup);
    drop(third);
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
}

fn who_has_more_members_than_partitions_has_members_without_any(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let [mut a, mut b] = [0; 2].map(|_| member(&client, "g"));
    poll_until(&mut [&mut a, &mut b], |both| owned(both) == 1);
    for _ in 0..3 {
        a.poll(Duration::ZERO).unwrap();
        b.poll(Duration::ZERO).unwrap();
    }
    assert_eq!(client.admin().describe_group("g").unwrap().state, GroupState::Stable);
    let idle = if a.assignment().is_empty() { &a } else { &b };
    assert!(!idle.is_caught_up().unwrap());
}

fn members_that_read_different_topics_get_only_their_own(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    topic(&client, "u", 2);
    let mut both = client.consumer("g").subscribe(["t", "u"]).unwrap();
    let mut one = client.consumer("g").subscribe("u").unwrap();
    poll_until(&mut [&mut both, &mut one], |all| shares(all) == [3, 1]);
    assert_eq!(one.assignment()[0].topic(), "u");
    one.subscribe("t").unwrap();
    poll_until(&mut [&mut both, &mut one], |all| {
        all[1].assignment().iter().all(|of| of.topic() == "t") && owned(all) == 4
    });
}

struct Odd;

impl Assignor for Odd {
    fn name(&self) -> &str {
        "odd"
    }

    fn assign(
        &self,
        partitions: &std::collections::BTreeMap<String, i32>,
        members: &[brooklet::GroupMember],
    ) -> std::collections::BTreeMap<String, Vec<TopicPartition>> {
        let all: Vec<TopicPartition> = partitions
            .iter()
            .flat_map(|(topic, n)| (0..*n).map(move |p| TopicPartition::new(topic, p)))
            .collect();
        // The same to two, which is wrong.
        members.iter().map(|member| (member.member_id.clone(), all.clone())).collect()
    }
}

fn a_group_agrees_on_an_assignor_that_all_have(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut first = member(&client, "g");
    assert_refused!(
        client.consumer(ConsumerConfig::new("g").assignor(Odd)).subscribe("t"),
        Error::InconsistentGroupProtocol { .. }
    );
    // From eager to cooperative, one member after the other.
    let mut second = client.consumer(cooperative("g")).subscribe("t").unwrap();
    poll_until(&mut [&mut first, &mut second], |both| shares(both) == [1, 1]);
    assert_eq!(client.admin().describe_group("g").unwrap().assignor.as_deref(), Some("cooperative-sticky"));
    // One that is wrong is told so.
    let mut a = client.consumer(ConsumerConfig::new("h").assignor(Odd)).subscribe("t").unwrap();
    assert_eq!(a.assignment().len(), 2);
    let mut b = client.consumer(ConsumerConfig::new("h").assignor(Odd)).subscribe("t").unwrap();
    let told = (0..5).find_map(|_| a.poll(Duration::ZERO).err());
    assert!(matches!(told, Some(Error::IllegalState(why)) if why.contains("to two members")));
    // And again, whenever it has divided anew.
    let again = (0..20).filter(|_| {
        b.poll(Duration::ZERO).unwrap();
        a.poll(Duration::ZERO).is_err()
    });
    assert!(again.count() >= 2, "it has gone silent");
}

fn what_is_not_assigned_is_not_committed(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    topic(&client, "u", 1);
    let consumer = member(&client, "g");
    assert_refused!(
        consumer.commit_offsets(Offsets::from([(("t", 0), 1), (("u", 0), 1)])),
        Error::CommitFailed { partition, .. } if partition.topic() == "u"
    );
    assert_eq!(committed(&consumer, "t", 0), None);
}

fn a_member_that_does_not_beat_is_gone_after_its_session(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 4);
    let (mut alice, mut bob) = (member(&client, "g"), member(&client, "g"));
    poll_until(&mut [&mut alice, &mut bob], |both| shares(both) == [2, 2]);
    bob.abandon();
    backend.advance(Duration::from_secs(40));
    alice.poll(Duration::ZERO).unwrap();
    assert_eq!(alice.assignment().len(), 2, "it may be back");
    backend.advance(Duration::from_secs(6));
    poll_until(&mut [&mut alice], |one| shares(one) == [4]);
}

fn a_member_that_does_not_poll_is_gone_after_its_patience(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put(&client, "t", "x");
    let (notes, told) = noting();
    let patient = || ConsumerConfig::new("g").max_poll_interval(Duration::from_secs(3600));
    let mut busy = client.consumer("g").on_rebalance(notes).subscribe("t").unwrap();
    let mut other = client.consumer(patient()).subscribe("t").unwrap();
    poll_until(&mut [&mut busy, &mut other], |both| shares(both) == [1, 1]);
    take(&told);
    backend.advance(Duration::from_secs(299));
    assert_eq!(client.admin().describe_group("g").unwrap().members.len(), 2);
    backend.advance(Duration::from_secs(2));
    poll_until(&mut [&mut other], |one| shares(one) == [2]);
    let had = busy.assignment();
    assert!(refused(busy.commit_offsets(Offsets::from([(&had[0], 1)]))).is_fenced());
    busy.poll(Duration::ZERO).unwrap();
    assert_eq!(take(&told)[0].0, "lost");
    poll_until(&mut [&mut busy, &mut other], |both| shares(both) == [1, 1]);
}

fn rule_49_offsets_go_after_their_retention(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let at_work = client
        .consumer(ConsumerConfig::new("at work").max_poll_interval(Duration::MAX))
        .subscribe("t")
        .unwrap();
    at_work.commit_offsets([(("t", 0), 0)]).unwrap();
    let gone = member(&client, "gone");
    gone.commit_offsets([(("t", 0), 0)]).unwrap();
    drop(gone);
    let week = Duration::from_secs(7 * 24 * 3600);
    backend.advance(week - Duration::from_secs(1));
    assert_eq!(client.admin().list_groups().unwrap(), ["at work", "gone"]);
    backend.advance(Duration::from_secs(601));
    assert_eq!(client.admin().list_groups().unwrap(), ["at work"]);
    assert_eq!(committed(&at_work, "t", 0), Some(0));
}
