//! The cases that Kafka publishes for its round robin assignor.

use super::*;

#[test]
fn members_without_topics_or_with_topics_that_are_not_there_get_nothing() {
    gives(&RoundRobinAssignor, &[("topic", 3)], &[], &[]);
    gives(&RoundRobinAssignor, &[("topic", 3)], &[member("consumer", "")], &[("consumer", "")]);
    gives(&RoundRobinAssignor, &[("topic", -1)], &[member("consumer", "topic")], &[("consumer", "")]);
}

#[test]
fn one_member_gets_all_of_its_topics_and_nothing_else() {
    let all = [("other", 3), ("topic1", 1), ("topic2", 2)];
    let one = [member("consumer", "topic1 topic2")];
    gives(&RoundRobinAssignor, &all, &one, &[("consumer", "topic1-0 topic2-0 topic2-1")]);
}

#[test]
fn partitions_of_all_topics_go_round() {
    gives_in_turn(&RoundRobinAssignor);
}

#[test]
fn a_member_is_passed_over_where_it_does_not_subscribe() {
    let members =
        [member("consumer1", "topic1"), member("consumer2", "topic1 topic2"), member("consumer3", "topic1")];
    let expected =
        [("consumer1", "topic1-0"), ("consumer2", "topic1-1 topic2-0 topic2-1"), ("consumer3", "topic1-2")];
    gives(&RoundRobinAssignor, &[("topic1", 3), ("topic2", 2)], &members, &expected);

    let members = [member("C0", "t0"), member("C1", "t0 t1"), member("C2", "t0 t1 t2")];
    let expected = [("C0", "t0-0"), ("C1", "t1-0"), ("C2", "t1-1 t2-0 t2-1 t2-2")];
    gives(&RoundRobinAssignor, &[("t0", 1), ("t1", 2), ("t2", 3)], &members, &expected);
}

#[test]
fn rule_52_members_go_round_static_ones_first() {
    let all = "topic1 topic2";
    let (b, a) = (member("consumer-b", all).group_instance_id("instance1"), member("consumer-a", all));
    let expected =
        [("consumer-a", "topic1-1 topic2-0 topic2-2"), ("consumer-b", "topic1-0 topic1-2 topic2-1")];
    let topics = [("topic1", 3), ("topic2", 3)];
    gives(&RoundRobinAssignor, &topics, &[b.clone(), a.clone().group_instance_id("instance2")], &expected);
    gives(&RoundRobinAssignor, &topics, &[b, a], &expected);

    for dynamic in ["consumer4", "consumer5"] {
        let mut members: Vec<_> = (1..=3)
            .map(|n| member(&format!("consumer{n}"), all).group_instance_id(format!("instance{n}")))
            .collect();
        members.push(member(dynamic, all));
        let expected = [
            ("consumer1", "topic1-0 topic2-1"),
            ("consumer2", "topic1-1 topic2-2"),
            ("consumer3", "topic1-2"),
            (dynamic, "topic2-0"),
        ];
        gives(&RoundRobinAssignor, &topics, &members, &expected);
    }
}
