//! Requests and disks that fare as a test wants them to.

use super::*;
use crate::{ApiKey, DiskOp};

#[test]
fn a_refused_request_is_tried_again_inside() {
    let cluster = three(1);
    let fault = cluster.intercept(ApiKey::Produce).topic("t").times(3).fail(Error::NotLeaderOrFollower);
    assert_eq!(put(&cluster, "a").unwrap(), 0);
    assert_eq!(fault.hits(), 3);
    fault.wait().unwrap();
}

#[test]
fn what_is_refused_for_good_comes_back_as_it_was_refused() {
    let cluster = three(1);
    let of = ("t", 0).into();
    let refusal = Error::NotEnoughReplicas { partition: of, in_sync: 1, needed: 2 };
    let fault = cluster.intercept(ApiKey::Produce).fail(refusal);
    let error = put(&cluster, "never").unwrap_err();
    assert!(matches!(error, Error::NotEnoughReplicas { .. }), "{error}");
    assert!(error.is_retriable() && !error.is_indeterminate() && fault.hits() > 100);
    fault.remove();
    assert_eq!(put(&cluster, "a").unwrap(), 0);
}

#[test]
fn faults_strike_where_and_what_they_are_meant_for() {
    let cluster = three(2);
    cluster.create_topic("u", TopicConfig::new()).unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    let other = BrokerId::from(leader.get() % 3 + 1);
    let elsewhere = cluster.intercept(ApiKey::Produce).at(other).topic("t").fail(Error::NotController);
    let another = cluster.intercept(ApiKey::Produce).topic("u").fail(Error::NotController);
    let fetch = cluster.intercept(ApiKey::Fetch).times(1).fail(Error::NotLeaderOrFollower);
    put(&cluster, "a").unwrap();
    assert_eq!(read(&cluster), ["a"]);
    assert_eq!((elsewhere.hits(), another.hits(), fetch.hits()), (0, 0, 1));
    cluster.heal().unwrap();
    cluster.produce(Record::to("u").value("b")).unwrap();
    assert_eq!(another.hits(), 0);
    assert!(matches!(another.wait(), Err(Error::Timeout)));
}

#[test]
fn a_request_may_be_lost_or_late() {
    let cluster = three(3);
    let lost = cluster.intercept(ApiKey::Metadata).times(2).drop_request();
    assert_eq!(cluster.admin().list_topics().unwrap(), ["t"]);
    assert_eq!(lost.hits(), 2);
    let before = cluster.now();
    cluster.intercept(ApiKey::Produce).times(1).delay(Duration::from_secs(2));
    put(&cluster, "a").unwrap();
    assert!(cluster.now() >= before + Duration::from_secs(2));
}

#[test]
fn a_slow_disk_holds_its_broker_up() {
    let cluster = three(4);
    put(&cluster, "a").unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    let took = |cluster: &Cluster| {
        let before = cluster.now();
        put(cluster, "b").unwrap();
        cluster.now().as_millis() - before.as_millis()
    };
    let quick = took(&cluster);
    let slow = cluster.disk(leader).unwrap().intercept(DiskOp::Write).delay(Duration::from_millis(200));
    let delayed = took(&cluster);
    assert!(quick < 100 && delayed >= 200, "{quick} and {delayed}");
    assert!(slow.hits() > 0);
    slow.remove();
    cluster.advance(Duration::from_secs(5));
    assert!(took(&cluster) < 100);
}

#[test]
fn a_full_disk_ends_its_broker_and_no_record() {
    let cluster = three(5);
    put(&cluster, "a").unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    let full = cluster.disk(leader).unwrap().intercept(DiskOp::Write).fail(crate::DiskFault::Enospc);
    put_until_it_is_there(&cluster, "b");
    assert!(full.hits() > 0 && !cluster.is_running(leader).unwrap());
    full.remove();
    cluster.restart(leader).unwrap();
    cluster.run_until(Duration::from_secs(30), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == 3)).unwrap();
    assert_eq!(read(&cluster), ["a", "b"]);
}

#[test]
fn what_brokers_ask_each_other_may_be_refused_lost_or_late() {
    let cluster = three(6);
    let of = |key| cluster.intercept(key);
    let beats = of(ApiKey::BrokerHeartbeat).times(2).fail(Error::NotController);
    let lost = of(ApiKey::FetchFollower).topic("t").times(2).drop_request();
    let answers = of(ApiKey::FetchFollower).topic("t").skip(2).times(2).drop_response();
    let late = of(ApiKey::FetchFollower).topic("t").skip(4).times(1).delay(Duration::from_millis(300));
    let elsewhere = of(ApiKey::FetchFollower).topic("u").drop_request();
    for n in 0..10 {
        put(&cluster, &n.to_string()).unwrap();
    }
    cluster.advance(Duration::from_secs(1));
    let hits = [&beats, &lost, &answers, &late, &elsewhere].map(|fault| fault.hits());
    assert_eq!(hits, [2, 2, 2, 1, 0], "{}", cluster.trace());
    assert_eq!(read(&cluster).len(), 10);
    let any = of(ApiKey::Any).delay(Duration::ZERO);
    cluster.advance(Duration::from_secs(1));
    assert_eq!(any.hits(), 0, "of clients");
    put(&cluster, "10").unwrap();
    assert!(any.hits() > 0);
    cluster.run_until(Duration::from_secs(30), Cluster::has_converged).unwrap();
}

/// The controller has noted it, and the leader does not hear of it: it asks again.
#[test]
fn an_isr_change_whose_answer_is_lost_is_asked_for_again() {
    let cluster = three(7);
    let leader = cluster.leader("t", 0).unwrap();
    let other = BrokerId::from(leader.get() % 3 + 1);
    let lost = cluster.intercept(ApiKey::AlterPartition).topic("t").times(1).drop_response();
    cluster.kill(other).unwrap();
    put(&cluster, "without it").unwrap();
    cluster.restart(other).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(lost.hits(), 1);
}

/// So a broker that is let start stays out of its place, and comes in when it is heard.
#[test]
fn a_registration_that_is_refused_is_tried_again() {
    let cluster = three(8);
    let other = BrokerId::from(cluster.leader("t", 0).unwrap().get() % 3 + 1);
    cluster.kill(other).unwrap();
    cluster.advance(Duration::from_secs(5));
    let refused = cluster.intercept(ApiKey::BrokerRegistration).fail(Error::NotController);
    cluster.restart(other).unwrap();
    refused.wait().unwrap();
    cluster.advance(Duration::from_secs(5));
    assert_eq!(cluster.isr("t", 0).unwrap().len(), 2);
    refused.remove();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}
