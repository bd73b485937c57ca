//! How partitions are spread.

use super::*;
use crate::{controller::spread, rpc::CreatePartitionsRequest};

/// What a plan makes of the replicas, and how many it changes.
fn planned(kept: &Kept, without: &[i32]) -> Option<(Vec<Vec<i32>>, usize)> {
    let image = kept.controller.image();
    let moves = spread(image, &ids(without))?;
    let (topic, _) = image.topic("t").unwrap();
    let of = |(number, state): (&i32, &PartitionState)| {
        let moved = moves.iter().find(|((id, n), _)| (*id, n) == (topic, number)).map(|(_, to)| to.clone());
        moved.unwrap_or_else(|| state.replicas.clone()).iter().map(|id| id.get()).collect()
    };
    let (_, there) = image.topic("t").unwrap();
    Some((there.partitions.iter().map(of).collect(), moves.len()))
}

fn counts(of: impl Iterator<Item = i32>) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    of.for_each(|n| *counts.entry(n).or_default() += 1);
    counts
}

fn spans(counts: &BTreeMap<i32, usize>) -> usize {
    counts.values().max().unwrap() - counts.values().min().unwrap()
}

#[test]
fn partitions_are_spread_evenly_and_few_move() {
    for (brokers, more, partitions, factor) in [(3, 1, 12, 2), (3, 3, 30, 3), (2, 1, 7, 1), (4, 2, 48, 2)] {
        let mut kept = Kept::new(brokers);
        let config = TopicConfig::new().partitions(partitions).replication_factor(factor);
        kept.ask(CreateTopicRequest { name: "t".to_owned(), config }).unwrap();
        let (before, none) = planned(&kept, &[]).unwrap();
        assert_eq!(none, 0, "it is even as it was made: {before:?}");
        (brokers + 1..=brokers + more).for_each(|n| kept.start(n, None));
        let (after, moves) = planned(&kept, &[]).unwrap();
        let replicas = counts(after.iter().flatten().copied());
        let leaders = counts(after.iter().map(|replicas| replicas[0]));
        assert_eq!((replicas.len(), leaders.len()), ((brokers + more) as usize, (brokers + more) as usize));
        assert!(spans(&replicas) <= 1 && spans(&leaders) <= 1, "{replicas:?} {leaders:?}");
        assert!(after.iter().all(|one| BTreeSet::from_iter(one).len() == factor as usize));
        // Each copy that a new broker gets is moved, and no other.
        let copied =
            |(before, after): (&Vec<i32>, &Vec<i32>)| after.iter().filter(|n| !before.contains(n)).count();
        let all = (partitions * i32::from(factor)) as usize;
        let share = all * more as usize / (brokers + more) as usize;
        let moved: usize = before.iter().zip(&after).map(copied).sum();
        assert!(moved <= share + more as usize && moves <= partitions as usize, "{moved} of {all}");
    }
}

#[test]
fn whoever_is_to_go_has_nothing_and_the_others_share_it() {
    let mut kept = Kept::new(4);
    let config = TopicConfig::new().partitions(12).replication_factor(3);
    kept.ask(CreateTopicRequest { name: "t".to_owned(), config }).unwrap();
    let (after, _) = planned(&kept, &[2]).unwrap();
    assert!(!after.iter().flatten().any(|n| *n == 2));
    assert_eq!(counts(after.iter().flatten().copied()), [(1, 12), (3, 12), (4, 12)].into());
    assert_eq!(counts(after.iter().map(|one| one[0])), [(1, 4), (3, 4), (4, 4)].into());
    assert!(planned(&kept, &[2, 3]).is_none(), "two are too few for three copies");
}

/// One that is fenced keeps what it has.
#[test]
fn who_is_away_gets_nothing_and_loses_nothing() {
    let mut kept = Kept::new(3);
    let config = TopicConfig::new().partitions(6).replication_factor(2);
    kept.ask(CreateTopicRequest { name: "t".to_owned(), config }).unwrap();
    kept.fence(&[3]);
    kept.ask(CreatePartitionsRequest { topic: "t".to_owned(), total: 9 }).unwrap();
    let (before, after) = (planned(&kept, &[]).unwrap(), planned(&kept, &[]).unwrap());
    assert_eq!(before, after);
    let of_3 = |all: &[Vec<i32>]| all.iter().flatten().filter(|n| **n == 3).count();
    assert_eq!(of_3(&after.0), 4);
}

#[test]
fn preferred_leaders_lead_again_by_themselves_where_too_few_do() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], safe());
    kept.fence(&[1]);
    kept.come_back(1);
    kept.advance(Duration::from_secs(300), &[]);
    assert_eq!(kept.who().0, Some(2), "1 has not caught up");
    let all = kept.alter(&[1, 2, 3]);
    kept.ask(all).unwrap();
    assert_eq!(kept.who().0, Some(2));
    kept.advance(Duration::from_secs(300), &[]);
    assert_eq!(kept.who().0, Some(1));
}

#[test]
fn a_broker_is_forgotten_when_it_is_gone_and_has_nothing() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2], safe());
    let ask = |kept: &mut Kept, n: i32| kept.ask(UnregisterBrokerRequest { id: id(n) });
    assert!(matches!(ask(&mut kept, 3), Err(Error::IllegalState(_))), "it is there");
    assert!(matches!(ask(&mut kept, 7), Err(Error::BrokerIdNotRegistered { .. })));
    kept.fence(&[2, 3]);
    assert!(matches!(ask(&mut kept, 2), Err(Error::IllegalState(_))), "it has a copy");
    ask(&mut kept, 3).unwrap();
    assert!(!kept.controller.image.brokers.contains_key(&id(3)));
}
