//! Brokers that have come and gone are those of the directory.

use super::*;
use std::{path::PathBuf, thread};

const MINUTE: Duration = Duration::from_secs(60);
/// Of each that is sent at once: in a log of so many an index has entries.
const COUNT: usize = 120;

/// `BROOKLET_KAFKA_FILES=DIR` leaves the three clusters in the new directory DIR, closed, for Kafka's own tool to read: each with three
/// copies of 480 records of `orders`.
#[test]
fn one_that_has_grown_and_shrunk_is_taken_up_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BROOKLET_KAFKA_FILES").map(PathBuf::from);
    let kept = kept.unwrap_or_else(|| scratch.path().to_owned());
    std::fs::create_dir_all(&kept).unwrap();
    // What takes time is the disk, which serves several at once.
    thread::scope(|scope| {
        for how in ENDS {
            let dir = kept.join(format!("{how:?}"));
            scope.spawn(move || grow_and_shrink(&dir, how));
        }
    });
}

fn grow_and_shrink(dir: &Path, how: End) {
    let clock = ManualClock::new();
    let start = || builder(dir).clock(&clock).start().unwrap();
    let (mut sent, mut seen) = (BTreeMap::new(), BTreeMap::new());
    let cluster = start();
    send(&cluster, &mut sent, COUNT);
    go_on(&cluster, &mut seen);
    send(&cluster, &mut sent, COUNT);
    for id in [4, 5] {
        assert_eq!(cluster.add_broker().unwrap(), id.into());
    }
    cluster.rebalance(MINUTE).unwrap();
    cluster.decommission(1, MINUTE).unwrap();
    send(&cluster, &mut sent, COUNT);
    end(cluster, how);

    let cluster = start();
    assert_is(&cluster, dir, &sent, how);
    go_on(&cluster, &mut seen);
    assert_eq!(seen, sent, "the group has gone on where it was, after {how:?}");
    assert_eq!(cluster.add_broker().unwrap(), 6.into(), "after {how:?}");
    assert!(dir.join("broker-6").exists());
    send(&cluster, &mut sent, COUNT);
    cluster.decommission(6, MINUTE).unwrap();
    end(cluster, how);

    let cluster = start();
    assert_is(&cluster, dir, &sent, how);
    assert_eq!(cluster.add_broker().unwrap(), 7.into(), "6 was one's that is gone, after {how:?}");
    go_on(&cluster, &mut seen);
    assert_eq!(seen, sent);
    cluster.close().unwrap();
}

/// Brokers 2 to 5 are there, and they have what was sent.
fn assert_is(cluster: &Cluster, dir: &Path, sent: &BTreeMap<i32, Vec<String>>, after: End) {
    assert_eq!(cluster.brokers(), [2, 3, 4, 5].map(BrokerId::from), "after {after:?}");
    let there = [".lock", "broker-2", "broker-3", "broker-4", "broker-5", "cluster.properties"];
    assert_eq!(names(dir), there, "after {after:?}");
    assert_eq!(read(cluster), *sent, "after {after:?}");
    cluster.run_until(MINUTE, Cluster::has_converged).unwrap();
    let lead = (0..PARTITIONS).flat_map(|n| cluster.replicas("orders", n).unwrap());
    assert!(lead.into_iter().any(|id| id >= 4.into()), "who came has copies, after {after:?}");
}
