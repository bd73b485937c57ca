//! What a run has come upon. A test over many seeds makes sure by them that it does not pass because nothing happens.

/// Something that a cluster may come upon.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mark {
    /// A broker became the controller.
    ControllerElected,
    /// A partition got another leader.
    LeaderElected,
    /// Somebody who had left the ISR, and has all that was acknowledged, leads (KIP-966).
    EligibleElected,
    /// Nobody leads although somebody is there, who may lack what was acknowledged.
    UncleanElectionRefused,
    /// Somebody leads who may lack what was acknowledged.
    UncleanElection,
    /// A replica is not in sync any more.
    IsrShrunk,
    /// A replica is in sync again.
    IsrGrown,
    /// A broker was silent for too long.
    BrokerFenced,
    /// A copy was cut where its leader's log parts from it. Only with [`check_invariants`](crate::ClusterBuilder::check_invariants).
    Truncated,
    /// A produce waited for those in sync until its time was over.
    ProduceTimedOut,
    /// Its leader went while a produce waited for those in sync.
    ProduceInterrupted,
    /// A produce was refused because too few are in sync.
    ProduceRefused,
    /// Those in sync became too few while a produce waited.
    NotEnoughAfterAppend,
    /// A producer's batch was there already, and was answered as it was the first time.
    Duplicate,
    /// Groups got another coordinator.
    CoordinatorElected,
    /// A partition has come to other brokers.
    PartitionMoved,
    /// A partition was to come to other brokers, and does not.
    MoveTakenBack,
    /// A topic got partitions.
    PartitionsAdded,
    /// The preferred leader leads again, in place of one that could have gone on.
    PreferredElected,
    /// A broker was added.
    BrokerAdded,
    /// A broker was taken out for good.
    BrokerGone,
    /// A broker took a snapshot of the metadata.
    SnapshotTaken,
    /// A broker got a snapshot of the metadata in place of what it lacked.
    SnapshotInstalled,
    /// A process was killed.
    Killed,
    /// A process ended in order.
    Stopped,
    /// A machine lost power.
    PowerCut,
    /// A machine lost power in the middle of something that it did to its disk.
    CrashInOperation,
    /// The same, as it closed a segment and began another one.
    CrashInRoll,
    /// The same, as it wrote a checkpoint.
    CrashInCheckpoint,
    /// A disk refused something, and the process ended.
    DiskFailed,
    /// A process was halted for a while.
    Paused,
    /// A broker was cut off from everybody.
    Isolated,
    /// A link between brokers was cut.
    LinkBlocked,
    /// A message between brokers was lost by rate.
    MessageLost,
    /// One came twice.
    MessageDoubled,
    /// One overtook another.
    MessageOvertaken,
    /// One was held up, and others were not.
    MessageDelayed,
    /// A broker's calendar went another way.
    ClockSkewed,
}
