//! On which brokers new partitions go. (Kafka: `StripedReplicaPlacer`)

use crate::types::BrokerId;

/// The replicas of the partitions `from..to` of one topic, the preferred leader first, on `brokers`, of which there are at
/// least `replicas`. Leaders go round the brokers, from the one at `start`; a leader's followers are the next ones behind it,
/// another distance behind it each time round, so that what one broker leads is not followed by the same few.
pub(super) fn place(
    brokers: &[BrokerId],
    replicas: usize,
    start: usize,
    partitions: std::ops::Range<i32>,
) -> Vec<Vec<BrokerId>> {
    let count = brokers.len();
    let one = |partition: i32| {
        let partition = usize::try_from(partition).unwrap_or_default();
        let (leader, round) = (start + partition, partition / count.max(1));
        let behind = |n: usize| match n {
            0 => 0,
            n => 1 + (round + n - 1) % (count.max(2) - 1),
        };
        let nth = |n: usize| brokers.get((leader + behind(n)) % count.max(1)).copied();
        (0..replicas.min(count)).filter_map(nth).collect()
    };
    partitions.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn leaders_and_replicas_are_spread_evenly() {
        for (count, replicas) in [(1, 1), (3, 1), (3, 2), (3, 3), (5, 3), (7, 3)] {
            let brokers: Vec<BrokerId> = (0..count).map(BrokerId::from).collect();
            let partitions = 4 * count * (count - 1).max(1);
            let placed = place(&brokers, replicas, 2, 0..partitions);
            let (mut leads, mut has, mut pairs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
            for one in &placed {
                assert_eq!(BTreeSet::from_iter(one).len(), replicas, "{one:?}");
                *leads.entry(one[0]).or_insert(0) += 1;
                one.iter().for_each(|broker| *has.entry(*broker).or_insert(0) += 1);
                one[1..].iter().for_each(|follower| *pairs.entry((one[0], *follower)).or_insert(0) += 1);
            }
            assert!(leads.values().all(|n| *n == partitions / count), "{leads:?}");
            assert!(has.values().all(|n| *n == partitions / count * replicas as i32), "{has:?}");
            let most = pairs.values().max().copied().unwrap_or(0);
            assert_eq!(pairs.values().min().copied().unwrap_or(0), most, "{pairs:?}");
        }
    }

    #[test]
    fn more_partitions_go_on_where_the_first_ones_ended() {
        let brokers = [1, 2, 3].map(BrokerId::from);
        let all = place(&brokers, 2, 1, 0..8);
        assert_eq!(place(&brokers, 2, 1, 5..8), all[5..]);
    }
}
