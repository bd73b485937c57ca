//! What goes wrong, as the seed says.

use super::{MOST_BROKEN, Run, random::Random};
use brooklet::{BrokerId, Cluster, DiskFault, DiskOp, SimDisk};
use std::{collections::BTreeSet, fmt, time::Duration};

/// What may go wrong, or be well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kill,
    Blackout,
    PowerCut,
    CrashInOperation,
    DiskRefuses,
    Stop,
    Pause,
    Isolate,
    Split,
    BlockLink,
    LoseMessages,
    DisturbMessages,
    Resume,
    Restart,
    Siege,
    AddBroker,
    Decommission,
    Move,
    TakeBack,
    ElectPreferred,
    GrowTopic,
    Rebalance,
    Throttle,
    SkewClock,
    SlowDisk,
    DeleteRecords,
    Recover,
}

/// How often each comes, beside the others.
const KINDS: &[(u64, Kind)] = &[
    (3, Kind::Kill),
    (1, Kind::Blackout),
    (3, Kind::PowerCut),
    (3, Kind::CrashInOperation),
    (1, Kind::DiskRefuses),
    (1, Kind::Stop),
    (1, Kind::Pause),
    (1, Kind::Isolate),
    (1, Kind::Split),
    (1, Kind::BlockLink),
    (1, Kind::LoseMessages),
    (1, Kind::DisturbMessages),
    (1, Kind::Resume),
    (1, Kind::Restart),
    (1, Kind::Siege),
    (1, Kind::AddBroker),
    (1, Kind::Decommission),
    (2, Kind::Move),
    (1, Kind::TakeBack),
    (1, Kind::ElectPreferred),
    (1, Kind::GrowTopic),
    (1, Kind::Rebalance),
    (1, Kind::Throttle),
    (1, Kind::SkewClock),
    (1, Kind::SlowDisk),
    (2, Kind::DeleteRecords),
    (3, Kind::Recover),
];

impl Kind {
    fn draw(random: &mut Random) -> Self {
        let mut left = random.below(KINDS.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in KINDS {
            match left.checked_sub(*weight) {
                Some(less) => left = less,
                None => return *kind,
            }
        }
        Self::Recover
    }

    fn is_relief(self) -> bool {
        matches!(self, Self::Resume | Self::Restart | Self::Recover)
    }
}

/// Which of a seed's faults are to happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Faults {
    #[default]
    All,
    /// By the numbers of their steps.
    Only(BTreeSet<u64>),
}

impl Faults {
    fn has(&self, step: u64) -> bool {
        match self {
            Self::All => true,
            Self::Only(steps) => steps.contains(&step),
        }
    }
}

/// A fault that happened.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// By which it is named: that of its step.
    pub(crate) number: u64,
    /// In virtual time since the clients began.
    pub(crate) at: Duration,
    kind: Kind,
    broker: BrokerId,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {}: {:?}, broker {}", self.number, self.kind, self.broker)
    }
}

impl Run {
    /// One fault, or the end of some; all of it comes from `random`. It may be left out.
    pub(crate) fn fault(&mut self, random: Random) {
        self.random = random;
        let (broker, kind) = (self.broker(), Kind::draw(&mut self.random));
        if !self.faults.has(self.step) {
            self.left_out += u64::from(!kind.is_relief());
            return;
        }
        let kind = self.possible(kind, broker);
        let fault = Fault { number: self.step, at: self.elapsed(), kind, broker };
        self.cluster.note(&fault);
        self.happened.push(fault);
        match self.inflict(kind, broker) {
            Ok(something) => self.report.faults += u64::from(something && !kind.is_relief()),
            Err(error) => self.fail(format_args!("a fault fails: {error}")),
        }
    }

    /// The same, or another one where that would lose what was acknowledged.
    fn possible(&self, kind: Kind, broker: BrokerId) -> Kind {
        match kind {
            Kind::Blackout if !self.careless => self.possible(Kind::PowerCut, broker),
            Kind::PowerCut | Kind::CrashInOperation | Kind::Siege if !self.may_lose(broker) => Kind::Recover,
            kind => kind,
        }
    }

    /// `false`: there was nothing to go wrong, or to change.
    fn inflict(&mut self, kind: Kind, broker: BrokerId) -> brooklet::Result<bool> {
        let runs = self.cluster.is_running(broker)?;
        match kind {
            Kind::Kill => self.cluster.kill(broker).map(|()| runs),
            Kind::Blackout => self.blackout().map(|()| true),
            Kind::PowerCut => self.power_cut(broker).map(|()| runs),
            Kind::CrashInOperation => self.crash_in_operation(broker),
            Kind::DiskRefuses => self.disk_refuses(broker),
            Kind::SlowDisk => self.slow_disk(broker).map(|()| runs),
            Kind::Stop => self.cluster.stop(broker).map(|()| runs),
            Kind::Pause => self.cluster.pause(broker).map(|()| runs),
            Kind::Isolate => self.cluster.isolate(broker).map(|()| true),
            Kind::Split => self.split(broker).map(|()| true),
            Kind::BlockLink => {
                let other = self.other(broker);
                self.cluster.block_link(broker, other).map(|()| true)
            }
            Kind::LoseMessages => {
                self.cluster.lose_messages(1 + self.random.below(200) as u16);
                Ok(true)
            }
            Kind::DisturbMessages => {
                self.disturb_messages();
                Ok(true)
            }
            Kind::Resume => self.cluster.resume(broker).map(|()| true),
            Kind::Restart => self.cluster.restart(broker).map(|()| true),
            Kind::Siege => self.siege(),
            Kind::AddBroker => Ok(self.add_broker()),
            Kind::Decommission => Ok(self.decommission(broker)),
            Kind::Move => Ok(self.move_a_partition()),
            Kind::TakeBack => Ok(self.take_back()),
            Kind::ElectPreferred => Ok(self.elect_preferred()),
            Kind::GrowTopic => Ok(self.grow_topic()),
            Kind::Rebalance => Ok(self.rebalance()),
            Kind::DeleteRecords => Ok(self.delete_records()),
            Kind::Throttle => {
                let rates = [None, Some(5_000), Some(50_000)];
                self.cluster.set_replication_throttle(self.random.of(&rates));
                Ok(true)
            }
            Kind::SkewClock => {
                let ahead = self.random.below(7_200_000) as i64 - 3_600_000;
                self.cluster.set_clock_skew(broker, ahead).map(|()| true)
            }
            Kind::Recover => {
                self.recover();
                Ok(true)
            }
        }
    }

    /// Messages come twice, overtake each other, or come late.
    fn disturb_messages(&mut self) {
        self.cluster.duplicate_messages(100);
        self.cluster.reorder_messages(if self.random.once_in(2) { 1000 } else { 100 });
        let by = Duration::from_millis(1 + self.random.below(500));
        self.cluster.delay_messages(50, by);
    }

    /// Whatever is written takes its time, for a while.
    fn slow_disk(&mut self, broker: BrokerId) -> brooklet::Result<()> {
        let by = Duration::from_millis(1 + self.random.below(200));
        let slow = self.cluster.disk(broker)?.intercept(DiskOp::Write).delay(by);
        for _ in 0..4 {
            self.produce();
        }
        slow.remove();
        Ok(())
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
    fn siege(&mut self) -> brooklet::Result<bool> {
        let (topic, number) = self.random.of(&self.partitions);
        let Ok(leader) = self.cluster.leader(topic, number) else { return Ok(false) };
        let isr = self.cluster.isr(topic, number)?;
        let [first, second] = isr.into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else {
            return Ok(false);
        };
        self.cluster.kill(first)?;
        self.advance(Duration::from_secs(5));
        self.produce();
        self.cluster.kill(second)?;
        self.cluster.power_cut(leader)?;
        self.cluster.restart(leader)?;
        self.cluster.restart(first)?;
        self.advance(Duration::from_secs(10));
        Ok(true)
    }

    /// The power goes while something is done to the disk: as a segment is closed, a checkpoint is written, or whatever comes.
    fn crash_in_operation(&mut self, broker: BrokerId) -> brooklet::Result<bool> {
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
        let crashed = fault.hits() > 0;
        fault.remove();
        Ok(crashed)
    }

    fn disk_refuses(&mut self, broker: BrokerId) -> brooklet::Result<bool> {
        let what = self.random.of(&[DiskFault::Eio, DiskFault::Enospc, DiskFault::ShortWrite]);
        let skip = self.random.below(20);
        let fault = self.cluster.disk(broker)?.intercept(DiskOp::Write).skip(skip).times(1).fail(what);
        for _ in 0..4 {
            self.produce();
        }
        let refused = fault.hits() > 0;
        fault.remove();
        Ok(refused)
    }

    /// Has all run and reach each other again.
    pub(crate) fn recover(&mut self) {
        let broken = self.random.below(MOST_BROKEN.as_millis() as u64);
        self.heal_at = self.cluster.now() + Duration::from_millis(broken);
        let all = |cluster: &Cluster| -> brooklet::Result<()> {
            cluster.heal()?;
            cluster.set_replication_throttle(None);
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
