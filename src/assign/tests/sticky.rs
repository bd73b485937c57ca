//! The cases that Kafka publishes for its sticky assignors, and what members say of the past.

use super::*;

const OLD: Option<i32> = Some(9);
const NOW: Option<i32> = Some(10);

#[test]
fn members_without_topics_or_with_topics_that_are_not_there_get_nothing() {
    gives(&StickyAssignor, &[("topic", 3)], &[], &[]);
    gives(&StickyAssignor, &[("topic", 3)], &[member("consumer", "")], &[("consumer", "")]);
    gives(&StickyAssignor, &[("topic", 0)], &[member("consumer", "topic")], &[("consumer", "")]);
    gives(&StickyAssignor, &[("topic", i32::MIN)], &[member("consumer", "topic")], &[("consumer", "")]);
    // The only topic was deleted.
    let owner = [owner("consumer", "topic", "topic-0 topic-1", NOW)];
    gives(&StickyAssignor, &[], &owner, &[("consumer", "")]);
}

#[test]
fn one_member_gets_all_of_its_topics_and_nothing_else() {
    let all = [("other", 2), ("topic1", 1), ("topic2", 2)];
    let owner = [owner("consumer", "topic1 topic2", "topic1-0 topic2-1 other-0", NOW)];
    gives(&StickyAssignor, &all, &owner, &[("consumer", "topic1-0 topic2-0 topic2-1")]);
}

#[test]
fn new_members_get_partitions_in_turn() {
    gives_in_turn(&StickyAssignor);
    let three = ["a", "b", "c"].map(|id| member(id, "t1 t2 t3"));
    let expected = [
        ("a", "t1-0 t1-3 t2-0 t2-3 t2-6"),
        ("b", "t1-1 t1-4 t2-1 t2-4 t3-0"),
        ("c", "t1-2 t1-5 t2-2 t2-5 t3-1"),
    ];
    gives(&StickyAssignor, &[("t1", 6), ("t2", 7), ("t3", 2)], &three, &expected);
}

#[test]
fn subscriptions_that_differ_are_balanced_all_the_same() {
    let members =
        [member("consumer1", "topic1"), member("consumer2", "topic1 topic2"), member("consumer3", "topic1")];
    let expected =
        [("consumer1", "topic1-0 topic1-2"), ("consumer2", "topic2-0 topic2-1"), ("consumer3", "topic1-1")];
    gives(&StickyAssignor, &[("topic1", 3), ("topic2", 2)], &members, &expected);

    let members = [member("a", "t1 t2 t3"), member("b", "t1 t2 t3"), member("c", "t1 t3")];
    let expected = [
        ("a", "t1-5 t2-0 t2-2 t2-4 t2-6"),
        ("b", "t1-3 t2-1 t2-3 t2-5 t3-0"),
        ("c", "t1-0 t1-1 t1-2 t1-4 t3-1"),
    ];
    gives(&StickyAssignor, &[("t1", 6), ("t2", 7), ("t3", 2)], &members, &expected);

    let topics = [("t0", 1), ("t1", 2), ("t2", 3)];
    let members = [member("C0", "t0"), member("C1", "t0 t1"), member("C2", "t0 t1 t2")];
    let expected = [("C0", "t0-0"), ("C1", "t1-0 t1-1"), ("C2", "t2-0 t2-1 t2-2")];
    gives(&StickyAssignor, &topics, &members, &expected);
    // C0 leaves; the others keep all they have.
    let members = after(&members, &StickyAssignor.assign(&super::topics(&topics), &members));
    let expected = [("C1", "t0-0 t1-0 t1-1"), ("C2", "t2-0 t2-1 t2-2")];
    gives(&StickyAssignor, &topics, &members[1..], &expected);
}

#[test]
fn a_chain_of_moves_balances_where_no_single_move_does() {
    // a may give only to b, and b only to c.
    let members =
        [owner("a", "ab", "ab-0 ab-1", NOW), owner("b", "ab bc", "bc-0", NOW), owner("c", "bc", "", NOW)];
    let expected = [("a", "ab-0"), ("b", "ab-1"), ("c", "bc-0")];
    gives(&StickyAssignor, &[("ab", 2), ("bc", 1)], &members, &expected);
}

#[test]
fn what_moved_away_comes_back_where_that_costs_no_balance() {
    // b has most as long as a has two, and gives one to c. That a then need not give one to b is seen afterwards.
    let members = [
        owner("a", "t2", "t2-0 t2-1", NOW),
        owner("b", "t0 t2", "t0-0 t0-1", NOW),
        owner("c", "t0", "", NOW),
    ];
    let expected = [("a", "t2-0 t2-1"), ("b", "t0-0"), ("c", "t0-1")];
    gives(&StickyAssignor, &[("t0", 2), ("t2", 2)], &members, &expected);
}

#[test]
fn owners_of_the_least_share_get_the_extra_partitions() {
    let all = "topic1 topic2";
    let members = [
        owner("consumer1", all, "topic1-0 topic2-1", NOW),
        owner("consumer2", all, "topic1-1 topic2-2", NOW),
    ];
    let expected = [("consumer1", "topic1-0 topic2-0 topic2-1"), ("consumer2", "topic1-1 topic2-2")];
    gives(&StickyAssignor, &[("topic1", 2), ("topic2", 3)], &members, &expected);

    let members = [
        owner("consumer1", all, "topic1-0", NOW),
        owner("consumer2", all, "topic1-1", NOW),
        owner("consumer3", all, "", NOW),
    ];
    let expected =
        [("consumer1", "topic1-0 topic2-1"), ("consumer2", "topic1-1 topic2-2"), ("consumer3", "topic2-0")];
    gives(&StickyAssignor, &[("topic1", 2), ("topic2", 3)], &members, &expected);

    let members = [
        owner("consumer1", "topic", "topic-0 topic-1", NOW),
        owner("consumer2", "topic", "topic-2", NOW),
        owner("consumer3", "topic", "", NOW),
    ];
    let expected = [("consumer1", "topic-0 topic-1"), ("consumer2", "topic-2"), ("consumer3", "topic-3")];
    gives(&StickyAssignor, &[("topic", 4)], &members, &expected);
}

/// Of two that have one more than the least, one must give it up. Kafka takes it from whichever its hash map has last.
#[test]
fn a_new_member_gets_its_share_and_no_more_moves() {
    let all = "topic1 topic2";
    let members = [
        owner("consumer1", all, "topic1-0 topic2-0", NOW),
        owner("consumer2", all, "topic1-1 topic2-1", NOW),
        owner("consumer3", all, "", NOW),
    ];
    let expected = [("consumer1", "topic1-0 topic2-0"), ("consumer2", "topic1-1"), ("consumer3", "topic2-1")];
    gives(&StickyAssignor, &[("topic1", 2), ("topic2", 2)], &members, &expected);
}

#[test]
fn members_come_and_go() {
    let members = [owner("consumer1", "topic", "topic-0 topic-1 topic-2", NOW), member("consumer2", "topic")];
    let expected = [("consumer1", "topic-0 topic-1"), ("consumer2", "topic-2")];
    gives(&StickyAssignor, &[("topic", 3)], &members, &expected);

    let topics = [("topic1", 3), ("topic2", 4)];
    let [one, two, three, four] =
        ["consumer1", "consumer2", "consumer3", "consumer4"].map(|id| member(id, "topic1 topic2"));
    let expected =
        [("consumer1", "topic1-0 topic1-2 topic2-1 topic2-3"), ("consumer2", "topic1-1 topic2-0 topic2-2")];
    let members = [one, two];
    gives(&StickyAssignor, &topics, &members, &expected);
    let mut members = after(&members, &StickyAssignor.assign(&super::topics(&topics), &members));
    members.extend([three, four]);
    let expected = [
        ("consumer1", "topic1-0 topic1-2"),
        ("consumer2", "topic1-1 topic2-0"),
        ("consumer3", "topic2-1 topic2-3"),
        ("consumer4", "topic2-2"),
    ];
    gives(&StickyAssignor, &topics, &members, &expected);
    let members = after(&members, &StickyAssignor.assign(&super::topics(&topics), &members));
    let expected =
        [("consumer3", "topic1-0 topic2-0 topic2-1 topic2-3"), ("consumer4", "topic1-1 topic1-2 topic2-2")];
    gives(&StickyAssignor, &topics, &members[2..], &expected);
}

#[test]
fn topics_come_and_go() {
    let has = |id, all, owned| owner(id, all, owned, NOW);
    let both = "topic topic2";
    let members = [has("consumer1", both, "topic-0 topic-2"), has("consumer2", both, "topic-1")];
    let expected = [("consumer1", "topic-0 topic-2 topic2-0"), ("consumer2", "topic-1 topic2-1 topic2-2")];
    gives(&StickyAssignor, &[("topic", 3), ("topic2", 3)], &members, &expected);
    let members = [
        has("consumer1", "topic2", "topic-0 topic-2 topic2-0"),
        has("consumer2", "topic2", "topic-1 topic2-1 topic2-2"),
    ];
    let expected = [("consumer1", "topic2-0"), ("consumer2", "topic2-1 topic2-2")];
    gives(&StickyAssignor, &[("topic2", 3)], &members, &expected);
    // A topic with fewer partitions than it had is another one of its name.
    gives(&StickyAssignor, &[("topic2", 1)], &members, &[("consumer1", "topic2-0"), ("consumer2", "")]);
    let members = [has("consumer1", "a b", "a-1"), has("consumer2", "a b", "")];
    gives(&StickyAssignor, &[("a", 1), ("b", 1)], &members, &[("consumer1", "a-0"), ("consumer2", "b-0")]);
}

#[test]
fn of_two_claims_that_of_the_higher_generation_holds() {
    let both = "topic topic2";
    let claims = "topic-0 topic-2 topic2-1";
    let expected = [("consumer1", "topic-0 topic-2 topic2-1"), ("consumer2", "topic-1 topic2-0 topic2-2")];
    for older in [OLD, None] {
        let members = [owner("consumer1", both, claims, NOW), owner("consumer2", both, claims, older)];
        gives(&StickyAssignor, &[("topic", 3), ("topic2", 3)], &members, &expected);
    }
    // What is claimed by an older generation alone is kept.
    let members = [
        owner("consumer1", both, "topic-0 topic2-1 topic-1", NOW),
        owner("consumer2", both, "topic-0 topic2-1 topic2-2", Some(8)),
    ];
    let expected = [("consumer1", "topic-0 topic-1 topic2-1"), ("consumer2", "topic-2 topic2-0 topic2-2")];
    gives(&StickyAssignor, &[("topic", 3), ("topic2", 3)], &members, &expected);

    let all = "topic topic2 topic3";
    let members = [
        owner("consumer1", all, "topic-0 topic2-0 topic3-0", Some(10)),
        owner("consumer2", all, "topic-1 topic2-1 topic3-1", Some(9)),
        owner("consumer3", all, "topic2-1 topic3-0 topic3-2", Some(8)),
    ];
    let expected = [
        ("consumer1", "topic-0 topic2-0 topic3-0"),
        ("consumer2", "topic-1 topic2-1 topic3-1"),
        ("consumer3", "topic-2 topic2-2 topic3-2"),
    ];
    gives(&StickyAssignor, &[("topic", 3), ("topic2", 3), ("topic3", 3)], &members, &expected);

    let all = "topic topic1 topic2 topic3";
    let members = [
        member("consumer1", all),
        owner("consumer2", all, "topic-0 topic2-0 topic1-0", Some(9)),
        owner("consumer3", all, "topic3-2 topic2-2 topic1-1", Some(8)),
        owner("consumer4", all, "topic3-1 topic-1 topic-2", Some(7)),
    ];
    let expected = [
        ("consumer1", "topic1-2 topic2-1 topic3-0"),
        ("consumer2", "topic-0 topic1-0 topic2-0"),
        ("consumer3", "topic1-1 topic2-2 topic3-2"),
        ("consumer4", "topic-1 topic-2 topic3-1"),
    ];
    let topics = [("topic", 3), ("topic1", 3), ("topic2", 3), ("topic3", 3)];
    gives(&StickyAssignor, &topics, &members, &expected);
}

#[test]
fn of_two_claims_of_one_generation_neither_holds() {
    for generation in [NOW, None] {
        let members = [
            owner("consumer1", "topic", "topic-0 topic-1", generation),
            owner("consumer2", "topic", "topic-0 topic-2", generation),
            owner("consumer3", "topic", "", generation),
        ];
        let expected = [("consumer1", "topic-1"), ("consumer2", "topic-2"), ("consumer3", "topic-0")];
        gives(&StickyAssignor, &[("topic", 3)], &members, &expected);
    }
}

#[test]
fn three_generations_claim_one_partition() {
    for [a, b, c] in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let members = [
            owner("consumer1", "topic", "topic-0 topic-2", Some(a)),
            owner("consumer2", "topic", "topic-1 topic-2 topic-3", Some(b)),
            owner("consumer3", "topic", "topic-2 topic-4 topic-5", Some(c)),
            owner("consumer4", "topic1", "topic1-0", Some(2)),
        ];
        let assignment = StickyAssignor.assign(&topics(&[("topic", 6), ("topic1", 1)]), &members);
        let mut all: Vec<_> = assignment.values().flatten().cloned().collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7, "{assignment:?}");
        assert!(assignment.values().all(|share| (1..=2).contains(&share.len())), "{assignment:?}");
    }
}

#[test]
fn existing_assignments_move_where_subscriptions_differ() {
    let members = [
        owner("consumer1", "topic1 topic2", "topic1-0", NOW),
        owner("consumer2", "topic1 topic2 topic3 topic4", "topic2-0 topic3-0", NOW),
        owner("consumer3", "topic2 topic3 topic4 topic5 topic6", "topic4-0 topic5-0 topic6-0", NOW),
    ];
    let topics = ["topic1", "topic2", "topic3", "topic4", "topic5", "topic6"].map(|topic| (topic, 1));
    let expected = [
        ("consumer1", "topic1-0 topic2-0"),
        ("consumer2", "topic3-0 topic4-0"),
        ("consumer3", "topic5-0 topic6-0"),
    ];
    gives(&StickyAssignor, &topics, &members, &expected);
}

#[test]
fn user_data_is_kafkas_and_older_user_data_reads() {
    let owned = [("b", 1), ("a", 2), ("b", 0)].map(TopicPartition::from);
    let v1 = b"\0\0\0\x02\0\x01a\0\0\0\x01\0\0\0\x02\0\x01b\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\x07";
    assert_eq!(StickyAssignor.user_data(&owned, Some(7)).as_deref(), Some(&v1[..]));
    assert_eq!(StickyAssignor.user_data(&[], None), None);
    assert_eq!(StickyAssignor.user_data(&[], Some(7)).as_deref(), Some(&b"\0\0\0\0\0\0\0\x07"[..]));

    let topics = [("a", 3), ("b", 2)];
    let expected = |first, second| [("new", first), ("old", second)];
    let with = |said: &[u8]| [member("new", "a b"), member("old", "a b").user_data(said)];
    gives(&StickyAssignor, &topics, &with(v1), &expected("a-0 a-1", "a-2 b-0 b-1"));
    // Version 0 has no generation: a claim with one is better.
    let v0 = &v1[..v1.len() - 4];
    gives(&StickyAssignor, &topics, &with(v0), &expected("a-0 a-1", "a-2 b-0 b-1"));
    let rival = [owner("new", "a b", "b-0", Some(0)), member("old", "a b").user_data(v0)];
    gives(&StickyAssignor, &topics, &rival, &expected("a-0 a-1 b-0", "a-2 b-1"));
    // What makes no sense is nothing: the member is like a new one.
    for cut in [&v1[..0], &v1[..9], &v1[..v1.len() - 2]] {
        gives(&StickyAssignor, &topics, &with(cut), &expected("a-0 a-2 b-1", "a-1 b-0"));
    }
}
