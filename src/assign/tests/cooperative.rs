//! What the cooperative protocol asks for: nothing goes to a new owner while another member may have it.

use super::*;

const NOW: Option<i32> = Some(1);

#[test]
fn rule_51_what_moves_is_nobodys_in_the_first_rebalance_and_its_new_owners_in_the_second() {
    let members = [owner("consumer1", "topic", "topic-0 topic-1 topic-2", NOW), member("consumer2", "topic")];
    let first = [("consumer1", "topic-0 topic-1"), ("consumer2", "")];
    gives(&CooperativeStickyAssignor, &[("topic", 3)], &members, &first);
    let assignment = CooperativeStickyAssignor.assign(&topics(&[("topic", 3)]), &members);
    let second = [("consumer1", "topic-0 topic-1"), ("consumer2", "topic-2")];
    gives(&CooperativeStickyAssignor, &[("topic", 3)], &after(&members, &assignment), &second);
}

#[test]
fn what_no_member_claims_goes_to_its_new_owner_at_once() {
    // The one that had topic-2 left.
    let members = [
        owner("consumer1", "topic", "topic-0", NOW),
        owner("consumer2", "topic", "topic-1", NOW),
        member("consumer3", "topic"),
    ];
    let expected = [("consumer1", "topic-0"), ("consumer2", "topic-1"), ("consumer3", "topic-2")];
    gives(&CooperativeStickyAssignor, &[("topic", 3)], &members, &expected);
}

#[test]
fn what_its_owner_no_longer_subscribes_to_is_withheld_as_long_as_it_is_claimed() {
    let members = [owner("consumer1", "other", "topic-0", NOW), member("consumer2", "topic")];
    let topics = [("other", 1), ("topic", 1)];
    let first = [("consumer1", "other-0"), ("consumer2", "")];
    gives(&CooperativeStickyAssignor, &topics, &members, &first);
    let assignment = CooperativeStickyAssignor.assign(&super::topics(&topics), &members);
    let second = [("consumer1", "other-0"), ("consumer2", "topic-0")];
    gives(&CooperativeStickyAssignor, &topics, &after(&members, &assignment), &second);
}

#[test]
fn what_two_claim_in_one_generation_is_withheld_until_both_gave_it_up() {
    let claims = |count| {
        let members = [
            owner("consumer1", "topic", "topic-0 topic-1", NOW),
            owner("consumer2", "topic", "topic-0 topic-2", NOW),
            owner("consumer3", "topic", "", NOW),
        ];
        (members, [("topic", count)])
    };
    let (members, topics) = claims(3);
    let expected = [("consumer1", "topic-1"), ("consumer2", "topic-2"), ("consumer3", "")];
    gives(&CooperativeStickyAssignor, &topics, &members, &expected);
    let (members, topics) = claims(4);
    let expected = [("consumer1", "topic-1 topic-3"), ("consumer2", "topic-2"), ("consumer3", "")];
    gives(&CooperativeStickyAssignor, &topics, &members, &expected);
    // Also where one of the two is to have it: the other may still read.
    let members = [owner("a", "topic", "topic-0", NOW), owner("b", "topic", "topic-0", NOW)];
    gives(&CooperativeStickyAssignor, &[("topic", 1)], &members, &[("a", ""), ("b", "")]);
}

#[test]
fn a_member_that_missed_a_rebalance_does_not_hold_up_the_owner() {
    let members = [owner("late", "topic", "topic-0", Some(3)), owner("owner", "topic", "topic-0", Some(5))];
    let expected = [("late", "topic-1"), ("owner", "topic-0")];
    gives(&CooperativeStickyAssignor, &[("topic", 2)], &members, &expected);
}

#[test]
fn the_generation_of_an_older_subscription_is_in_its_user_data() {
    assert_eq!(CooperativeStickyAssignor.user_data(&[], None), Some(vec![0xff; 4]));
    assert_eq!(CooperativeStickyAssignor.user_data(&[], Some(10)), Some(vec![0, 0, 0, 10]));
    let member = |id, said: Option<i32>| {
        let said = CooperativeStickyAssignor.user_data(&[], said).unwrap();
        member(id, "topic").owned([("topic", 0)]).user_data(said)
    };
    let topics = [("topic", 2)];
    let (old, new) = (member("old", Some(4)), member("new", Some(5)));
    gives(&CooperativeStickyAssignor, &topics, &[old, new], &[("new", "topic-0"), ("old", "topic-1")]);
    // What the subscription itself says comes first.
    let (new, old) = (member("new", Some(4)).generation(6), member("old", Some(5)));
    gives(&CooperativeStickyAssignor, &topics, &[old, new], &[("new", "topic-0"), ("old", "topic-1")]);
    // A claim without any generation is the oldest.
    let (new, old) = (member("new", Some(0)), member("old", None));
    gives(&CooperativeStickyAssignor, &topics, &[old, new], &[("new", "topic-0"), ("old", "topic-1")]);
}
