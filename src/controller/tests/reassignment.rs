//! Partitions that move.

use super::*;
use crate::rpc::{AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest};

impl Kept {
    fn reassign(&mut self, replicas: Option<&[i32]>) -> Result<()> {
        let replicas = replicas.map(|numbers| numbers.iter().copied().map(id).collect());
        let partition = ("t", 0).into();
        self.ask(AlterPartitionReassignmentsRequest { partition, replicas }).map(drop)
    }

    /// The replicas, those that are added, and those that are removed.
    fn assigned(&self) -> (Vec<i32>, Vec<i32>, Vec<i32>) {
        let state = self.partition();
        let numbers = |of: &BTreeSet<BrokerId>| of.iter().map(|broker| broker.get()).collect();
        let replicas = state.replicas.iter().map(|broker| broker.get()).collect();
        (replicas, numbers(&state.adding), numbers(&state.removing))
    }

    fn join(&mut self, isr: &[i32]) {
        let request = self.alter(isr);
        self.ask(request).unwrap();
    }
}

#[test]
fn the_old_replicas_stay_until_all_new_ones_are_in_sync() {
    let mut kept = Kept::new(6);
    kept.topic(&[1, 2, 3], safe());
    kept.reassign(Some(&[4, 5, 1])).unwrap();
    assert_eq!(kept.assigned(), (vec![4, 5, 1, 2, 3], vec![4, 5], vec![2, 3]));
    assert_eq!(kept.who(), (Some(1), vec![1, 2, 3], vec![]));
    let listed = kept.ask(ListPartitionReassignmentsRequest).unwrap().reassignments;
    assert_eq!(listed.iter().map(|moving| moving.adding.len()).collect::<Vec<_>>(), [2]);
    kept.join(&[1, 2, 3, 4]);
    assert_eq!(kept.assigned().0.len(), 5, "one of the new ones lacks something");
    let before = kept.epochs();
    kept.join(&[1, 2, 3, 4, 5]);
    assert_eq!(kept.assigned(), (vec![4, 5, 1], vec![], vec![]));
    assert_eq!(kept.who(), (Some(1), vec![1, 4, 5], vec![]));
    assert_eq!(kept.epochs(), (before.0 + 1, before.1 + 1), "who has it no more is fenced");
    assert!(kept.ask(ListPartitionReassignmentsRequest).unwrap().reassignments.is_empty());
}

#[test]
fn a_leader_that_is_to_go_leads_until_the_others_have_all() {
    let mut kept = Kept::new(3);
    kept.topic(&[1], TopicConfig::new());
    kept.reassign(Some(&[2, 3])).unwrap();
    assert_eq!(kept.who(), (Some(1), vec![1], vec![]));
    kept.join(&[1, 2, 3]);
    assert_eq!((kept.assigned().0, kept.who()), (vec![2, 3], (Some(2), vec![2, 3], vec![])));
    kept.reassign(Some(&[3])).unwrap();
    assert_eq!((kept.assigned().0, kept.who()), (vec![3], (Some(3), vec![3], vec![])), "at once: 3 has all");
}

#[test]
fn a_move_is_taken_back_or_replaced() {
    let mut kept = Kept::new(5);
    kept.topic(&[1, 2], safe());
    assert!(matches!(kept.reassign(None), Err(Error::NoReassignmentInProgress)));
    kept.reassign(Some(&[3, 4])).unwrap();
    kept.join(&[1, 2, 3]);
    kept.reassign(Some(&[2, 5])).unwrap();
    assert_eq!(kept.assigned(), (vec![2, 5, 1], vec![5], vec![1]), "what was before is before");
    assert_eq!(kept.who().1, [1, 2], "3 has nothing of it any more");
    kept.reassign(None).unwrap();
    assert_eq!(kept.assigned(), (vec![2, 1], vec![], vec![]));
    assert!(matches!(kept.reassign(None), Err(Error::NoReassignmentInProgress)));
}

/// Seed 4091488: the other one in sync had lost its disk, which nobody knew yet.
#[test]
fn who_was_added_stays_while_too_few_others_have_all() {
    for target in [None, Some(&[1, 4][..])] {
        let mut kept = Kept::new(4);
        kept.topic(&[1, 2], safe());
        kept.reassign(Some(&[3, 4])).unwrap();
        kept.join(&[1, 2, 3]);
        kept.fence(&[1]);
        assert_eq!(kept.who().1, [2, 3]);
        kept.reassign(target).unwrap();
        assert_eq!(kept.who().1, [2, 3], "3 has all, and else only 2");
        let to: &[i32] = if target.is_some() { &[3, 4] } else { &[3] };
        assert_eq!(kept.assigned().1, to);
        kept.start(2, None);
        assert_eq!((kept.who().0, kept.who().1), (Some(3), vec![3]));
        kept.come_back(1);
        kept.join(&[1, 3]);
        assert_eq!(kept.who().1, [1, 3]);
        let other = if target.is_some() { 4 } else { 2 };
        kept.join(&[1, 3, other]);
        assert_eq!(kept.assigned(), (vec![1, other], vec![], vec![]));
        assert_eq!(kept.who().1, [1, other]);
    }
}

#[test]
fn a_move_does_not_end_with_fewer_in_sync_than_the_minimum() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2], safe());
    kept.fence(&[1]);
    kept.reassign(Some(&[1, 3])).unwrap();
    kept.join(&[2, 3]);
    assert_eq!(kept.who().1, [2, 3]);
    assert_eq!(kept.assigned().0, [1, 3, 2], "1 does not have all");
    kept.come_back(1);
    kept.join(&[1, 2, 3]);
    assert_eq!(kept.assigned(), (vec![1, 3], vec![], vec![]));
}

/// Who had it before may all be out of sync by then.
#[test]
fn what_would_lose_everything_is_refused() {
    let mut kept = Kept::new(4);
    kept.topic(&[1], TopicConfig::new().min_insync_replicas(1));
    kept.reassign(Some(&[2, 3])).unwrap();
    kept.join(&[1, 2]);
    kept.fence(&[1]);
    assert_eq!(kept.who(), (Some(2), vec![2], vec![]));
    for replicas in [None, Some(&[1][..]), Some(&[4])] {
        let refused = kept.reassign(replicas);
        assert!(matches!(refused, Err(Error::InvalidReplicaAssignment { .. })), "{replicas:?}: {refused:?}");
    }
    assert_eq!(kept.who().0, Some(2));
    kept.come_back(1);
    kept.join(&[1, 2]);
    kept.reassign(None).unwrap();
    assert_eq!(kept.assigned().0, [1]);
}

#[test]
fn a_target_that_cannot_be_is_refused() {
    let mut kept = Kept::new(2);
    kept.topic(&[1], TopicConfig::new());
    for target in [&[][..], &[2, 2], &[7]] {
        let refused = kept.reassign(Some(target));
        assert!(matches!(refused, Err(Error::InvalidReplicaAssignment { .. })), "{target:?}: {refused:?}");
    }
    let unknown = AlterPartitionReassignmentsRequest { partition: ("t", 1).into(), replicas: None };
    assert!(matches!(kept.ask(unknown), Err(Error::UnknownTopicOrPartition { .. })));
}

/// Nobody is there who would lead then: it waits for one.
#[test]
fn a_move_does_not_end_with_a_partition_that_nobody_leads() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2], TopicConfig::new());
    kept.beat(2, true).unwrap();
    kept.reassign(Some(&[2])).unwrap();
    assert_eq!((kept.assigned().0, kept.who().0), (vec![2, 1], Some(1)));
    kept.come_back(2);
    kept.join(&[1, 2]);
    assert_eq!((kept.assigned().0, kept.who().0), (vec![2], Some(2)));
}
