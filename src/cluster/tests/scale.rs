//! Clusters that grow and shrink.

use super::*;

#[test]
fn a_broker_that_is_added_gets_partitions_leads_and_comes_back() {
    for seed in seeds(5) {
        let cluster = three(seed);
        put(&cluster, "before").unwrap();
        let fourth = cluster.add_broker().unwrap();
        assert_eq!(cluster.brokers().len(), 4);
        let config = TopicConfig::new().partitions(4).replication_factor(4).min_insync_replicas(2);
        cluster.create_topic("wide", config).unwrap();
        let leads =
            |c: &Cluster| (0..4).filter(|n| c.leader("wide", *n).is_ok_and(|id| id == fourth)).count();
        assert_eq!(leads(&cluster), 1, "seed {seed}");
        for n in 0..20 {
            cluster.produce(Record::to("wide").value(&n.to_string())).unwrap();
        }
        cluster.kill(fourth).unwrap();
        cluster.run_until(Duration::from_secs(30), |c| leads(c) == 0 && c.leader("wide", 2).is_ok()).unwrap();
        // It finds the controller again, whoever that is by then.
        cluster.kill(cluster.controller().unwrap()).unwrap();
        cluster.restart(fourth).unwrap();
        cluster
            .run_until(Duration::from_secs(30), |c| c.isr("wide", 0).is_ok_and(|isr| isr.contains(&fourth)))
            .unwrap();
        cluster.brokers().into_iter().for_each(|id| cluster.restart(id).unwrap());
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    }
}

/// Those who vote decide, however many others there are.
#[test]
fn who_is_added_has_no_vote() {
    let cluster = Cluster::builder().brokers(1).start().unwrap();
    for _ in 0..3 {
        cluster.add_broker().unwrap();
    }
    let voter = cluster.controller().unwrap();
    assert_eq!(voter, 1.into());
    cluster.kill(voter).unwrap();
    cluster.advance(Duration::from_secs(30));
    assert!(matches!(cluster.controller(), Err(Error::NotController)));
    cluster.restart(voter).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}

#[test]
fn who_cannot_be_registered_is_there_and_goes_on_trying() {
    let cluster = three(3);
    let all = cluster.brokers();
    let refused = cluster.intercept(ApiKey::BrokerRegistration).fail(Error::NotController);
    assert!(matches!(cluster.add_broker(), Err(Error::Timeout)));
    assert!(refused.hits() > 10);
    refused.remove();
    assert_eq!(cluster.brokers().len(), all.len() + 1);
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}
