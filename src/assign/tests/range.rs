//! The cases that Kafka publishes for its range assignor.

use super::*;

#[test]
fn members_without_topics_or_with_topics_that_are_not_there_get_nothing() {
    gives(&RangeAssignor, &[], &[], &[]);
    gives(&RangeAssignor, &[], &[member("consumer1", "")], &[("consumer1", "")]);
    gives(&RangeAssignor, &[], &[member("consumer1", "topic1")], &[("consumer1", "")]);
    gives(&RangeAssignor, &[("topic1", 0)], &[member("consumer1", "topic1")], &[("consumer1", "")]);
    gives(&RangeAssignor, &[("topic1", i32::MIN)], &[member("consumer1", "topic1")], &[("consumer1", "")]);
}

#[test]
fn one_member_gets_all_of_its_topics_and_nothing_else() {
    let one = |topics| [member("consumer1", topics)];
    let all = [("topic1", 1), ("topic2", 2), ("other", 3)];
    gives(&RangeAssignor, &all, &one("topic1"), &[("consumer1", "topic1-0")]);
    gives(&RangeAssignor, &all, &one("topic1 topic2"), &[("consumer1", "topic1-0 topic2-0 topic2-1")]);
}

#[test]
fn rule_52_extra_partitions_go_to_the_first_members_of_each_topic() {
    let two = ["consumer1", "consumer2"].map(|id| member(id, "topic1 topic2"));
    let cases = [
        ([("topic1", 1), ("topic2", 0)], ["topic1-0", ""]),
        ([("topic1", 2), ("topic2", 0)], ["topic1-0", "topic1-1"]),
        ([("topic1", 3), ("topic2", 3)], ["topic1-0 topic1-1 topic2-0 topic2-1", "topic1-2 topic2-2"]),
    ];
    for (topics, [first, second]) in cases {
        gives(&RangeAssignor, &topics, &two, &[("consumer1", first), ("consumer2", second)]);
    }
}

#[test]
fn a_topic_is_divided_among_those_that_subscribe_to_it() {
    let members =
        [member("consumer1", "topic1"), member("consumer2", "topic1 topic2"), member("consumer3", "topic1")];
    let expected =
        [("consumer1", "topic1-0"), ("consumer2", "topic1-1 topic2-0 topic2-1"), ("consumer3", "topic1-2")];
    gives(&RangeAssignor, &[("topic1", 3), ("topic2", 2)], &members, &expected);
}

#[test]
fn rule_52_static_members_come_first_by_instance_id_whatever_their_member_ids() {
    let all = "topic1 topic2";
    let (b, a) = (member("consumer-b", all).group_instance_id("instance1"), member("consumer-a", all));
    let expected =
        [("consumer-a", "topic1-2 topic2-2"), ("consumer-b", "topic1-0 topic1-1 topic2-0 topic2-1")];
    let topics = [("topic1", 3), ("topic2", 3)];
    gives(&RangeAssignor, &topics, &[b.clone(), a.clone().group_instance_id("instance2")], &expected);
    gives(&RangeAssignor, &topics, &[b, a], &expected);
}

#[test]
fn rule_52_static_members_keep_their_partitions_as_others_come_and_go() {
    let all = "topic1 topic2";
    let fixed = |ids: [&str; 3]| {
        let numbered = ids.iter().zip(["instance1", "instance2", "instance3"]);
        numbered.map(|(id, instance)| member(id, all).group_instance_id(instance)).collect::<Vec<_>>()
    };
    let topics = [("topic1", 5), ("topic2", 4)];
    for dynamic in ["consumer4", "consumer5"] {
        let mut members = fixed(["consumer1", "consumer2", "consumer3"]);
        members.push(member(dynamic, all));
        let expected = [
            ("consumer1", "topic1-0 topic1-1 topic2-0"),
            ("consumer2", "topic1-2 topic2-1"),
            ("consumer3", "topic1-3 topic2-2"),
            (dynamic, "topic1-4 topic2-3"),
        ];
        gives(&RangeAssignor, &topics, &members, &expected);
    }
    // They restart, and get other member ids.
    let members = fixed(["consumer4", "consumer5", "consumer1"]);
    let expected = [
        ("consumer1", "topic1-2 topic2-2"),
        ("consumer4", "topic1-0 topic2-0"),
        ("consumer5", "topic1-1 topic2-1"),
    ];
    gives(&RangeAssignor, &[("topic1", 3), ("topic2", 3)], &members, &expected);
}

#[test]
fn topics_with_as_many_partitions_are_divided_alike() {
    for seed in crate::seeds(50) {
        let mut prng = crate::prng::Prng::new(seed);
        let count = prng.below(20) as i32;
        let members: Vec<_> =
            (0..1 + prng.below(9)).map(|id| member(&format!("m{}", id * 7 % 10), "a b")).collect();
        for partitions in RangeAssignor.assign(&topics(&[("a", count), ("b", count)]), &members).values() {
            let of =
                |topic| partitions.iter().filter(|it| it.topic() == topic).map(|it| it.partition()).collect();
            let (a, b): (Vec<_>, Vec<_>) = (of("a"), of("b"));
            assert_eq!(a, b, "seed {seed}");
        }
    }
}
