//! What goes wrong, as the seed says.

use super::{MOST_BROKEN, Run};
use brooklet::{BrokerId, Cluster, DiskFault, DiskOp, SimDisk};
use std::time::Duration;

impl Run {
    /// One fault, or the end of some.
    pub(crate) fn fault(&mut self) {
        let broker = self.broker();
        self.report.faults += 1;
        let done = match self.random.below(24) {
            0..=2 => self.cluster.kill(broker),
            3 if self.careless => self.blackout(),
            3..=6 if self.may_lose(broker) => self.power_cut(broker),
            7..=9 if self.may_lose(broker) => self.crash_in_operation(broker),
            10 => self.disk_refuses(broker),
            11 => self.cluster.stop(broker),
            12 => self.cluster.pause(broker),
            13 => self.cluster.isolate(broker),
            14 => self.split(broker),
            15 => {
                let other = self.other(broker);
                self.cluster.block_link(broker, other)
            }
            16 => {
                let per_mille = self.random.below(200) as u16;
                self.cluster.lose_messages(per_mille);
                Ok(())
            }
            17 => {
                self.cluster.duplicate_messages(100);
                self.cluster.reorder_messages();
                Ok(())
            }
            18 => self.cluster.resume(broker),
            19 => self.cluster.restart(broker),
            20 if self.may_lose(broker) => self.siege(),
            _ => {
                self.report.faults -= 1;
                self.recover();
                Ok(())
            }
        };
        if let Err(error) = done {
            self.fail(format_args!("a fault fails: {error}"));
        }
    }

    fn broker(&mut self) -> BrokerId {
        let all = self.cluster.brokers();
        self.random.of(&all)
    }

    fn other(&mut self, than: BrokerId) -> BrokerId {
        let others: Vec<BrokerId> = self.cluster.brokers().into_iter().filter(|id| *id != than).collect();
        self.random.of(&others)
    }

    fn split(&mut self, broker: BrokerId) -> brooklet::Result<()> {
        let (one, other): (Vec<BrokerId>, Vec<BrokerId>) =
            self.cluster.brokers().into_iter().partition(|id| *id == broker || self.random.once_in(4));
        self.cluster.partition_network(one, other)
    }

    /// Whether a machine may lose what it has not flushed: all copies are in sync and all brokers run, so that it is the only one. Or
    /// this seed does not care.
    fn may_lose(&self, broker: BrokerId) -> bool {
        let cluster = &self.cluster;
        let all = |of: &(&str, i32)| cluster.isr(of.0, of.1).is_ok_and(|isr| isr.len() == self.copies);
        let runs = |id: BrokerId| cluster.is_running(id).unwrap_or(false);
        if self.careless {
            return runs(broker);
        }
        // So is what groups have committed, once there is a topic for it.
        let of_groups =
            |n: i32| cluster.isr("__consumer_offsets", n).map_or(true, |isr| isr.len() == self.copies);
        self.partitions.iter().all(all)
            && (0..2).all(of_groups)
            && cluster.brokers().into_iter().all(runs)
            && self.are_registered()
    }

    /// Whether the controller knows of each broker's last start: before, it counts one as in sync that has lost what it had.
    fn are_registered(&self) -> bool {
        let trace = self.cluster.trace();
        self.cluster.brokers().into_iter().all(|id| {
            let (starts, registered) =
                (format!(" broker {id} starts"), format!(" broker {id} is registered"));
            let told = |line: &&String| line.ends_with(&starts) || line.contains(&registered);
            trace.lines().iter().rev().find(told).is_some_and(|line| !line.ends_with(&starts))
        })
    }

    fn power_cut(&mut self, broker: BrokerId) -> brooklet::Result<()> {
        self.cluster.power_cut(broker)?;
        if self.random.once_in(2) { self.cluster.restart(broker) } else { Ok(()) }
    }

    /// All machines lose power at once: what was acknowledged and not flushed may be gone.
    fn blackout(&mut self) -> brooklet::Result<()> {
        let all = self.cluster.brokers();
        all.iter().try_for_each(|id| self.cluster.power_cut(*id))?;
        all.iter().try_for_each(|id| self.cluster.restart(*id))
    }

    /// Of three that have a partition one dies, then another, and the last one loses power: of those who come back none has all that was
    /// acknowledged, so that nobody may lead.
    fn siege(&mut self) -> brooklet::Result<()> {
        let (topic, number) = self.random.of(&self.partitions);
        let Ok(leader) = self.cluster.leader(topic, number) else { return Ok(()) };
        let isr = self.cluster.isr(topic, number)?;
        let [first, second] = isr.into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else {
            return Ok(());
        };
        self.cluster.kill(first)?;
        self.advance(Duration::from_secs(5));
        self.produce();
        self.cluster.kill(second)?;
        self.cluster.power_cut(leader)?;
        self.cluster.restart(leader)?;
        self.cluster.restart(first)?;
        self.advance(Duration::from_secs(10));
        Ok(())
    }

    /// The power goes while something is done to the disk: as a segment is closed, a checkpoint is written, or whatever comes.
    fn crash_in_operation(&mut self, broker: BrokerId) -> brooklet::Result<()> {
        let disk: SimDisk = self.cluster.disk(broker)?;
        let skip = self.random.below(3);
        let fault = match self.random.below(4) {
            0 => disk.intercept(DiskOp::Open).path(".timeindex").skip(skip).power_cut(),
            1 => disk.intercept(DiskOp::SetLen).path("index").skip(skip).power_cut(),
            2 => disk.intercept(DiskOp::Any).path("checkpoint").skip(skip).power_cut(),
            _ => disk.intercept(DiskOp::Any).skip(skip * 40).power_cut(),
        };
        for _ in 0..12 {
            self.produce();
            self.advance(Duration::from_millis(500));
            if fault.hits() > 0 {
                break;
            }
        }
        fault.remove();
        Ok(())
    }

    fn disk_refuses(&mut self, broker: BrokerId) -> brooklet::Result<()> {
        let what = self.random.of(&[DiskFault::Eio, DiskFault::Enospc, DiskFault::ShortWrite]);
        let skip = self.random.below(20);
        let fault = self.cluster.disk(broker)?.intercept(DiskOp::Write).skip(skip).times(1).fail(what);
        for _ in 0..4 {
            self.produce();
        }
        fault.remove();
        Ok(())
    }

    /// Has all run and reach each other again.
    pub(crate) fn recover(&mut self) {
        let broken = self.random.below(MOST_BROKEN.as_millis() as u64);
        self.heal_at = self.cluster.now() + Duration::from_millis(broken);
        let all = |cluster: &Cluster| -> brooklet::Result<()> {
            cluster.heal()?;
            for id in cluster.brokers() {
                cluster.resume(id)?;
                cluster.restart(id)?;
            }
            Ok(())
        };
        if let Err(error) = all(&self.cluster) {
            self.fail(format_args!("a broker does not start: {error}"));
        }
    }
}
