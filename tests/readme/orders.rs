// tests/orders.rs of your crate, with brooklet among its [dev-dependencies]
use brooklet::{Cluster, Record, TopicConfig};

#[test]
fn orders_outlive_their_leader() -> brooklet::Result<()> {
    let cluster = Cluster::builder().brokers(3).seed(7).start()?;            // a controller is elected, time is virtual
    cluster.create_topic("orders", TopicConfig::new().replication_factor(3).min_insync_replicas(2))?;
    cluster.produce(Record::to("orders").value("3 apples"))?;                // in sync replicas have it

    let leader = cluster.leader("orders", 0)?;
    cluster.kill(leader)?;                                                   // also power_cut, pause, isolate, partition_network, ...
    cluster.produce(Record::to("orders").value("2 pears"))?;                 // to whoever leads by then
    assert_ne!(cluster.leader("orders", 0)?, leader);
    println!("{}", cluster.trace());                                         // who led what when, as a story
    Ok(())
}
