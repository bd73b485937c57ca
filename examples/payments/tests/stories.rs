//! What may go wrong, and what becomes of the payments: a story each. `on_a_cluster` tells it of three brokers on virtual time, for
//! each seed; `BROOKLET_SEEDS=1000 cargo test` tells it of a thousand.

use brooklet::{
    ApiKey, Cluster, DiskFault, DiskOp, ElectionType, Error, Records, Result, TopicConfig, seeds,
};
use payments::{Desk, GROUP, Ledger, PAYMENTS, Payment, SETTLED, Service, ensure_topics};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn on_a_cluster(story: impl Fn(&Cluster) -> Result<()>) {
    seeds(1).for_each(|seed| tell(seed, &story));
    within(|| tell(0, &story));
}

fn tell(seed: u64, story: impl Fn(&Cluster) -> Result<()>) {
    let builder = Cluster::builder().brokers(3).seed(seed).check_invariants(true);
    let cluster = builder.offsets_topic_partitions(1).start().expect("a cluster");
    let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    ensure_topics(cluster.client(), safe).expect("topics");
    // A panic, too, tells the seed, and what happened last.
    story(&cluster).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{}", cluster.trace()));
}

/// `PAYMENTS_WITHIN_MS=50 cargo test` wants each story to take less than that, the fastest of three times. (Linux only)
fn within(told: impl Fn()) {
    let Ok(most) = std::env::var("PAYMENTS_WITHIN_MS") else { return };
    let most = Duration::from_millis(most.parse().expect("milliseconds"));
    let time = |_| {
        let before = on_processor();
        told();
        on_processor() - before
    };
    let took = (0..3).map(time).min().unwrap_or_default();
    println!("{took:?}");
    assert!(took < most, "a story takes {took:?}");
}

/// How long this thread was at work. It waits for nothing, since time is virtual; and what others do on a busy machine does not count.
#[allow(clippy::disallowed_methods, reason = "there is no other way without a dependency")]
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("what Linux tells");
    let nanos = told.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}

/// Everything is there, and all is settled: `count` payments of 100 cents to alice, each of them once.
fn each_is_settled_once(cluster: &Cluster, count: usize) -> Result<()> {
    cluster.heal()?;
    cluster.brokers().into_iter().try_for_each(|broker| cluster.restart(broker))?;
    cluster.run_until(MINUTE, Cluster::has_converged)?;
    let ledger = Ledger::open(cluster.client())?;
    assert_eq!((ledger.len(), ledger.balance("alice")), (count, 100 * count as i64));
    assert_eq!(ledger.duplicates(), []);
    Ok(())
}

/// The service works until it knows of so many that are settled.
fn settles(service: &mut Service, count: usize) -> Result<()> {
    service.run_until(MINUTE, |service| service.ledger().len() == count)?;
    assert_eq!(service.ledger().balance("alice"), 100 * count as i64);
    Ok(())
}

/// The next payments that come.
fn some(service: &mut Service) -> Result<Records> {
    for _ in 0..1000 {
        let payments = service.receive()?;
        if !payments.is_empty() {
            return Ok(payments);
        }
    }
    Err(Error::Timeout)
}

fn payment(n: usize) -> Payment {
    Payment::new(&format!("p{n}"), "alice", 100)
}

#[test]
fn a_leader_dies_between_append_and_answer() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        let lost = cluster.intercept(ApiKey::Produce).topic(PAYMENTS).drop_response();
        let asked = desk.request(&payment(1))?;
        cluster.run_until(MINUTE, |cluster| cluster.high_watermark(PAYMENTS, 0).is_ok_and(|end| end == 1))?;
        let leader = cluster.leader(PAYMENTS, 0)?;
        cluster.kill(leader)?; // all have the record, and nobody has been told
        lost.remove();
        asked.wait()?; // it was sent again, to the next leader, who knows it
        assert_eq!(cluster.high_watermark(PAYMENTS, 0)?, 1);
        settles(&mut service, 1)?;
        each_is_settled_once(cluster, 1)
    });
}

#[test]
fn a_consumer_stalls_past_its_session() {
    on_a_cluster(|cluster| {
        let (desk, mut slow) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        desk.accept(&payment(1))?;
        let held = some(&mut slow)?;
        let silent = cluster.intercept(ApiKey::Heartbeat).drop_request();
        cluster.advance(Duration::from_secs(15)); // its process is halted, and its session of 10 s ends
        silent.remove();
        let mut other = Service::start(cluster.client())?;
        settles(&mut other, 1)?;
        let late = slow.settle(&held).expect_err("the payment is another's by now");
        assert!(late.is_fenced(), "{late}");
        desk.accept(&payment(2))?; // and they go on, both of them
        other.abandon();
        settles(&mut slow, 2)?;
        each_is_settled_once(cluster, 2)
    });
}

#[test]
fn a_disk_fills() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        let leader = cluster.leader(SETTLED, 0)?;
        let full = cluster.disk(leader)?.intercept(DiskOp::Write).fail(DiskFault::Enospc);
        (1..=3).try_for_each(|n| desk.accept(&payment(n)))?;
        settles(&mut service, 3)?; // what its broker leads goes to others
        assert!(full.hits() > 0 && !cluster.is_running(leader)?);
        full.remove(); // somebody has made room
        each_is_settled_once(cluster, 3)
    });
}

#[test]
fn a_network_splits() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        let leader = cluster.leader(PAYMENTS, 0)?;
        let others = cluster.brokers().into_iter().filter(|broker| *broker != leader);
        cluster.partition_network([leader], others)?;
        desk.accept(&payment(1))?; // not by the old leader, who has nobody in sync
        assert_ne!(cluster.leader(PAYMENTS, 0)?, leader);
        settles(&mut service, 1)?;
        cluster.heal()?;
        desk.accept(&payment(2))?;
        settles(&mut service, 2)?;
        each_is_settled_once(cluster, 2)
    });
}

#[test]
fn a_duplicate_is_looked_for() {
    on_a_cluster(|cluster| {
        let (desk, mut first) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        desk.accept(&payment(1))?;
        desk.accept(&payment(1))?; // its caller has not heard, and asks again
        cluster.intercept(ApiKey::OffsetCommit).drop_request(); // settled, and then it cannot say so
        let both = some(&mut first)?;
        first.settle(&both).expect_err("not committed");
        first.abandon();
        cluster.heal()?;
        let mut second = Service::start(cluster.client())?;
        desk.accept(&payment(2))?;
        settles(&mut second, 2)?;
        assert_eq!(cluster.high_watermark(PAYMENTS, 0)?, 3);
        each_is_settled_once(cluster, 2)
    });
}

#[test]
fn a_service_dies_before_it_settles() {
    on_a_cluster(|cluster| {
        let (desk, mut first) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        desk.accept(&payment(1))?;
        let held = some(&mut first)?;
        let lost = cluster.intercept(ApiKey::Produce).topic(SETTLED).drop_request();
        first.settle(&held).expect_err("not settled");
        first.abandon();
        lost.remove();
        settles(&mut Service::start(cluster.client())?, 1)?; // it comes again, to another one
        each_is_settled_once(cluster, 1)
    });
}

#[test]
fn too_few_are_in_sync_for_a_while() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        desk.accept(&payment(1))?;
        let too_few = Error::not_enough_replicas((SETTLED, 0), 1, 2);
        let refused = cluster.intercept(ApiKey::Produce).topic(SETTLED).fail(too_few);
        let held = some(&mut service)?;
        service.settle(&held).expect_err("nobody takes it");
        refused.remove();
        settles(&mut service, 1)?; // it comes again, to the same one
        each_is_settled_once(cluster, 1)
    });
}

#[test]
fn a_coordinator_dies() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        desk.accept(&payment(1))?;
        let held = some(&mut service)?;
        let coordinator = cluster.leader("__consumer_offsets", 0)?;
        cluster.kill(coordinator)?;
        service.settle(&held)?; // the next one knows the group, and takes its commit
        assert_ne!(cluster.leader("__consumer_offsets", 0)?, coordinator);
        let committed = cluster.admin().group_offsets(GROUP)?;
        assert_eq!(committed.get((PAYMENTS, 0)).map(|committed| committed.offset), Some(1));
        desk.accept(&payment(2))?;
        settles(&mut service, 2)?;
        each_is_settled_once(cluster, 2)
    });
}

#[test]
fn a_broker_comes_and_goes() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        let fourth = cluster.add_broker()?;
        desk.accept(&payment(1))?;
        let first = cluster.replicas(PAYMENTS, 0)?[0];
        cluster.admin().alter_partition_reassignment((PAYMENTS, 0), [fourth, first])?;
        desk.accept(&payment(2))?; // while it moves
        settles(&mut service, 2)?;
        cluster.run_until(MINUTE, Cluster::has_converged)?;
        cluster.admin().elect_leader((PAYMENTS, 0), ElectionType::Preferred)?; // that is the fourth
        assert_eq!(cluster.leader(PAYMENTS, 0)?, fourth);
        desk.accept(&payment(3))?;
        cluster.decommission(fourth, MINUTE)?;
        desk.accept(&payment(4))?;
        settles(&mut service, 4)?;
        each_is_settled_once(cluster, 4)
    });
}

#[test]
fn a_clock_is_a_month_ahead() {
    on_a_cluster(|cluster| {
        let (desk, mut service) = (Desk::open(cluster.client())?, Service::start(cluster.client())?);
        desk.accept(&payment(1))?;
        cluster.set_clock_skew(cluster.leader(PAYMENTS, 0)?, 30 * 24 * 3_600_000)?;
        cluster.apply_retention_now()?; // by the 7 days of the default it would be gone
        settles(&mut service, 1)?;
        each_is_settled_once(cluster, 1)
    });
}
