//! By the wall clock: threads produce and consume, and another one kills brokers and starts them again.

use super::*;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

const PRODUCERS: usize = 4;
const MEMBERS: usize = 2;
const KILLS: usize = 3;
/// Who is there in the end.
const OTHERS: [i32; 3] = [2, 3, 4];
/// Each step takes a while at most, also where others have the machine's cores and its disk.
const PATIENCE: Duration = Duration::from_secs(120);

/// By partition, in the order of sending.
type Sent = BTreeMap<i32, Vec<String>>;

fn start(dir: &Path) -> Cluster {
    builder(dir).wall_clock().broker_session_timeout(Duration::from_secs(1)).start().unwrap()
}

/// Sends until it is told to end: what was acknowledged, and what nobody could say anything of.
fn produce(cluster: &Cluster, id: usize, done: &AtomicBool) -> (Sent, BTreeSet<String>) {
    let (mut sent, mut in_doubt) = (Sent::new(), BTreeSet::new());
    for n in 0.. {
        if done.load(Ordering::Acquire) && n >= 100 {
            break;
        }
        let partition = (n % PARTITIONS as usize) as i32;
        let value = format!("{id}.{n}");
        match cluster.produce(Record::to("orders").partition(partition).value(&value)) {
            Ok(_) => sent.entry(partition).or_default().push(value),
            Err(error) if error.is_indeterminate() => drop(in_doubt.insert(value)),
            Err(error) => assert!(error.is_retriable(), "{error}"),
        }
    }
    (sent, in_doubt)
}

/// Reads in the group until it is told to end: all that it has committed.
fn consume(cluster: &Cluster, ended: &AtomicBool) -> Vec<String> {
    let config = ConsumerConfig::new("billing").heartbeat_interval(Duration::from_millis(100));
    let mut consumer = cluster.consumer(config).subscribe("orders").unwrap();
    let mut values = Vec::new();
    while !ended.load(Ordering::Acquire) {
        let Ok(records) = consumer.poll(Duration::from_millis(50)) else { continue };
        let polled = records.iter().map(|record| record.value_str().unwrap().to_owned());
        let polled: Vec<String> = polled.collect();
        // Whoever has lost its part, or its coordinator, leaves it to who comes next.
        if consumer.commit_offsets(&records).is_ok() {
            values.extend(polled);
        }
    }
    drop(consumer.close());
    values
}

/// Where the group is, in all partitions together.
fn committed(cluster: &Cluster) -> i64 {
    let offsets = cluster.admin().group_offsets("billing").unwrap_or_default();
    offsets.iter().map(|(_, committed)| committed.offset).sum()
}

fn ends(cluster: &Cluster) -> i64 {
    (0..PARTITIONS).map(|n| cluster.high_watermark("orders", n).unwrap_or(0)).sum()
}

/// The broker whose turn it is: one that leads, the controller, the last one.
fn victim(cluster: &Cluster, n: usize) -> BrokerId {
    let mut victim = Err(Error::NotController);
    // Both may be unknown for a while.
    let is_known = |cluster: &Cluster| {
        victim = match n % 3 {
            0 => cluster.leader("orders", (n as i32 / 3) % PARTITIONS),
            1 => cluster.controller(),
            _ => Ok(3.into()),
        };
        victim.is_ok()
    };
    cluster.run_until(PATIENCE, is_known).unwrap();
    victim.unwrap()
}

fn kill_and_restart(cluster: &Cluster) {
    let marked = |mark| cluster.marks().get(&mark).copied().unwrap_or(0);
    for n in 0..KILLS {
        let victim = victim(cluster, n);
        let elected = marked(Mark::LeaderElected);
        cluster.kill(victim).unwrap();
        assert!(!cluster.is_running(victim).unwrap());
        let others_lead = |cluster: &Cluster| {
            (0..PARTITIONS).all(|n| cluster.leader("orders", n).is_ok_and(|leader| leader != victim))
        };
        cluster.run_until(PATIENCE, others_lead).unwrap();
        assert!(n % 3 > 0 || marked(Mark::LeaderElected) > elected, "it led");
        cluster.restart(victim).unwrap();
        let in_sync = |cluster: &Cluster| {
            (0..PARTITIONS).all(|n| cluster.isr("orders", n).is_ok_and(|isr| isr.len() == 3))
        };
        cluster.run_until(PATIENCE, in_sync).unwrap();
    }
    assert_eq!(marked(Mark::Killed), KILLS as u64, "{}", cluster.trace());
}

/// A fourth broker comes, and the first one goes.
fn grow_and_shrink(cluster: &Cluster) {
    let has = |id: BrokerId| {
        (0..PARTITIONS).filter(|n| cluster.replicas("orders", *n).unwrap().contains(&id)).count()
    };
    let fourth = cluster.add_broker().unwrap();
    assert_eq!((fourth, has(fourth)), (4.into(), 0));
    cluster.rebalance(PATIENCE).unwrap();
    assert!(has(fourth) > 0, "{}", cluster.trace());
    cluster.decommission(1, PATIENCE).unwrap();
    assert_eq!((cluster.brokers(), has(fourth)), (OTHERS.map(BrokerId::from).into(), PARTITIONS as usize));
}

/// Everything acknowledged is there once, in order, and nothing that was not sent.
fn check(there: &Sent, sent: &[(Sent, BTreeSet<String>)]) {
    let by_producer = |id: usize| format!("{id}.");
    for (id, (sent, in_doubt)) in sent.iter().enumerate() {
        for partition in 0..PARTITIONS {
            let own = there.get(&partition).into_iter().flatten();
            let own: Vec<&String> = own.filter(|value| value.starts_with(&by_producer(id))).collect();
            let different: BTreeSet<&String> = own.iter().copied().collect();
            assert_eq!(
                different.len(),
                own.len(),
                "producer {id}, partition {partition}: something is there twice"
            );
            let sure: Vec<&String> = own.into_iter().filter(|value| !in_doubt.contains(*value)).collect();
            let acknowledged: Vec<&String> = sent.get(&partition).into_iter().flatten().collect();
            assert_eq!(sure, acknowledged, "producer {id}, partition {partition}");
        }
    }
}

/// Has the threads end, also when it is dropped in a panic: they would be waited for for ever.
struct Ends<'a>([&'a AtomicBool; 2]);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|end| end.store(true, Ordering::Release));
    }
}

#[test]
fn threads_produce_and_consume_while_brokers_die_come_and_go_and_all_is_there_after_a_restart_of_the_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("cluster");
    let cluster = start(&dir);
    let (done, ended, at_work) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(PRODUCERS));
    let (sent, consumed) = thread::scope(|scope| {
        let (cluster, done, ended, at_work) = (&cluster, &done, &ended, &at_work);
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|id| {
                scope.spawn(move || {
                    let sent = produce(cluster, id, done);
                    at_work.fetch_sub(1, Ordering::AcqRel);
                    sent
                })
            })
            .collect();
        let _ends = Ends([done, ended]);
        let members: Vec<_> = (0..MEMBERS).map(|_| scope.spawn(move || consume(cluster, ended))).collect();
        kill_and_restart(cluster);
        grow_and_shrink(cluster);
        assert_eq!(at_work.load(Ordering::Acquire), PRODUCERS, "they have gone on through all of it");
        done.store(true, Ordering::Release);
        let caught_up =
            |cluster: &Cluster| at_work.load(Ordering::Acquire) == 0 && committed(cluster) == ends(cluster);
        let result = cluster.run_until(PATIENCE, caught_up).map_err(|error| {
            let (producing, committed, ends) =
                (at_work.load(Ordering::Acquire), committed(cluster), ends(cluster));
            format!("{error}: {producing} at work, {committed} of {ends} committed\n{}", cluster.trace())
        });
        ended.store(true, Ordering::Release);
        let sent: Vec<_> = producers.into_iter().map(|producer| producer.join().unwrap()).collect();
        let consumed: Vec<String> = members.into_iter().flat_map(|member| member.join().unwrap()).collect();
        result.unwrap_or_else(|why| panic!("{why}"));
        (sent, consumed)
    });
    let there = read(&cluster);
    check(&there, &sent);
    let all: BTreeSet<&String> = there.values().flatten().collect();
    let consumed: BTreeSet<&String> = consumed.iter().collect();
    assert!(all.len() >= PRODUCERS * 100, "{} records are few", all.len());
    assert_eq!(consumed, all, "the group has read what is there");
    let end = committed(&cluster);

    // As if this process had been killed, and then in order.
    drop(cluster);
    for _ in 0..2 {
        let cluster = start(&dir);
        assert_eq!(cluster.brokers(), OTHERS.map(BrokerId::from));
        assert_eq!(read(&cluster), there);
        assert_eq!(committed(&cluster), end);
        cluster.run_until(PATIENCE, Cluster::has_converged).unwrap();
        cluster.close().unwrap();
    }
}
