//! The machines of a world, as they come and go, and what holds for them.

use super::{Host, MAX_BROKERS, World, newest};
use crate::{
    bugs::{self, Bug},
    cluster::{machine::Machine, marks::Mark, trace::Fact},
    error::{Error, Result},
    sync::Ordering,
    types::{BrokerId, Instant},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl World {
    /// Another machine; its process does not run yet.
    pub(super) fn add_host(&self, id: BrokerId, machine: Machine) {
        let host = Host {
            machine: machine.clone(),
            running: None,
            paused: None,
            waits: false,
            incarnations: self.site.processes_before(),
            skew: Arc::default(),
            wake_at: Instant::MAX,
        };
        self.post.add_broker(id, machine);
        self.hosts.lock().insert(id, host);
    }

    /// Another broker, which starts. It has no vote yet.
    pub(in crate::cluster) fn add_broker(&self) -> Result<BrokerId> {
        self.check_open()?;
        if self.hosts.lock().len() >= usize::from(MAX_BROKERS) {
            return Err(Error::IllegalState(format!("a cluster has at most {MAX_BROKERS} brokers")));
        }
        // None is given twice: what is still said of one that is gone is not of another.
        let mut id = self.last_id.fetch_add(1, Ordering::AcqRel) + 1;
        if bugs::is(Bug::ReuseIds) {
            id = self.hosts.lock().keys().next_back().map_or(1, |last| i64::from(last.get()) + 1);
        }
        let id =
            BrokerId::from(i32::try_from(id).map_err(|_| Error::IllegalState("no id is left".to_owned()))?);
        self.add_host(id, self.site.add(id)?);
        self.trace.hit(Mark::BrokerAdded);
        self.start(id)?;
        Ok(id)
    }

    /// Who votes on who the controller is.
    pub(in crate::cluster) fn voters(&self) -> BTreeSet<BrokerId> {
        self.voters_among(&self.hosts.lock())
    }

    /// The same, for one who holds the lock. Where nobody runs it is those whom the cluster began with.
    pub(super) fn voters_among(&self, hosts: &BTreeMap<BrokerId, Host>) -> BTreeSet<BrokerId> {
        newest(hosts).map_or_else(|| self.first_voters(), |running| running.quorum().voters().clone())
    }

    pub(super) fn first_voters(&self) -> BTreeSet<BrokerId> {
        (1..=self.settings.brokers).map(|id| BrokerId::from(i32::from(id))).collect()
    }

    /// Takes a machine away whose process has ended.
    pub(in crate::cluster) fn remove_broker(&self, id: BrokerId) -> Result<()> {
        self.hosts.lock().remove(&id);
        self.post.remove_broker(id);
        self.site.remove(id)?;
        self.trace.hit(Mark::BrokerGone);
        self.log(Fact::Gone(id));
        Ok(())
    }

    /// How fast partitions may be copied that are on their way.
    pub(in crate::cluster) fn set_throttle(&self, bytes_per_second: Option<u64>) {
        self.throttle.store(bytes_per_second.map_or(u64::MAX, |rate| rate.max(1)), Ordering::Release);
        self.log(Fact::Throttle(bytes_per_second));
    }

    /// Sets how far a machine's calendar is ahead of the cluster's.
    pub(in crate::cluster) fn set_clock_skew(&self, id: BrokerId, millis: i64) -> Result<()> {
        let mut host = self.host(id)?;
        let before = host.get()?.skew.swap(millis, Ordering::AcqRel);
        if before != millis {
            self.trace.hit(Mark::ClockSkewed);
        }
        self.log(Fact::ClockSkew { broker: id, millis });
        Ok(())
    }
}
