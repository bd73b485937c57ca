//! Bugs that are put in on purpose, one at a time, to prove that the tests of survival find them: see `tests/bugs.rs`.
//!
//! A build with `--cfg brooklet_bugs` has the bug that the environment variable `BROOKLET_BUG` names, if it is set. Every
//! other build has none, and pays nothing for being asked.

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Bug {
            $($(#[$doc])* $bug,)*
        }

        #[cfg(brooklet_bugs)]
        const ALL: &[Bug] = &[$(Bug::$bug),*];

        /// What `BROOKLET_BUG` may be.
        #[cfg(brooklet_bugs)]
        #[doc(hidden)]
        pub const BUGS: &[&str] = &[$(stringify!($bug)),*];
    };
}

bugs! {
    /// A flush leaves out the names in directories.
    SkipDirectorySync,
    /// A record that was asked to be flushed is acknowledged when it is appended.
    AcknowledgeBeforeFlush,
    /// What an index says is not held against the log.
    TrustIndex,
    /// A log's end moves before the bytes are in the file.
    PublishBeforeCopy,
    /// Recovery goes on with the segments behind the first bad batch.
    ResumeAfterHole,
    /// A log whose flush failed takes records as if nothing had been.
    ForgetFailedFlush,
    /// The recovery point is the log's end, flushed or not.
    RecoveryPointAhead,
    /// The clean marker comes before the last flush.
    MarkCleanBeforeFlush,
    /// Segments go before it is durable that the log begins behind them.
    DropBeforeStartIsNoted,
    /// What lies below a log's start is not synced, although the start is not noted yet.
    CallRemovedDurable,
    /// The leader epoch of an unclean open is not made durable before its first record.
    EpochNotSynced,
    /// What recovery found, and what it cut, is called durable and is not synced.
    RecoverWithoutSync,
    /// What was read back after a failed sync is taken for what the disk has.
    TrustWhatWasReadBack,
    /// A deleted topic's directories go before the deletion is noted.
    RemoveBeforeNoted,
    /// A log is truncated below its recovery point.
    KeepRecoveryPoint,
    /// A log whose truncation failed half way takes records.
    GoOnAfterFailedTruncation,
    /// A cleaned segment takes the place of others before it is durable.
    SwapBeforeSync,
    /// A tombstone that was cleaned is not told when it may go.
    ForgetDeleteHorizon,
    /// A tombstone goes when it is first cleaned.
    DropTombstonesAtOnce,
    /// A voter does not know any more, after a restart, whom it has voted for.
    ForgetVote,
    /// A voter raises its term before it knows whether it would win.
    SkipPreVote,
    /// An entry of an earlier term is committed as soon as a majority has it.
    CommitOlderTerms,
    /// A leader has another voter come or go before it knows that the last change is committed.
    ChangeVotersUnsettled,
    /// A snapshot of the metadata is said to have entries that are not committed.
    SnapshotUncommitted,
    /// The beginning of the metadata log goes although the snapshot that has it was not saved.
    DropBeforeSnapshot,
    /// What a snapshot does not have any more stays.
    KeepWhatIsGone,
    /// A follower of a new leader cuts its log at its high watermark.
    TruncateToHighWatermark,
    /// A follower that has parted from its leader takes what it has for committed, and cuts it only then.
    RaiseBeforeTruncating,
    /// A broker that does not lead any more goes on taking records.
    ServeStaleLeader,
    /// A record that all in sync are to have is acknowledged when the leader has it.
    AcknowledgeBeforeReplicated,
    /// A leader lets consumers read all that it has.
    ReadAboveHighWatermark,
    /// Whoever fetches is in sync.
    JoinBehind,
    /// A replica that the controller may have taken into the ISR does not hold the high watermark back.
    ForgetJoiners,
    /// An ISR of which nobody knows whether the controller has taken it is forgotten.
    ForgetProposals,
    /// A broker whose power went claims to have all that it had.
    TrustLostData,
    /// A partition's old copies go before the new ones have all.
    RemoveReplicasEarly,
    /// A new controller does not know that partitions are on their way.
    ForgetReassignments,
    /// What is taken back of a move stays with those that it added.
    KeepAdded,
    /// The first replica leads whether it is in sync or not.
    PreferOutOfSync,
    /// Partitions that are spread prefer whoever they did.
    PreferUnevenly,
    /// What is on its way is copied as fast as it can be.
    IgnoreThrottle,
    /// Copies in sync are as slow as those that are on their way.
    ThrottleAll,
    /// A broker that is gone is forgotten although it has partitions.
    ForgetWhoHasPartitions,
    /// A broker that leaves takes its vote with it.
    TakeVoteAway,
    /// A new broker gets the id of one that was taken out.
    ReuseIds,
    /// The directory of a cluster does not say who was taken out of it.
    ForgetWhoIsGone,
    /// A group does not divide anew where its topic has got partitions.
    MissNewPartitions,
    /// Whether members of groups are alive is judged by the broker's calendar.
    JudgeByCalendar,
    /// A broker does what the controller said before it was registered.
    ActBeforeRegistered,
    /// A broker answers clients before it knows which topics there are.
    ServeBeforeRegistered,
    /// An epoch in which a copy led and took nothing counts against its leader's records.
    KeepEmptyEpochs,
    /// A new coordinator does not read what its groups have committed.
    ForgetGroups,
    /// A member of an old generation may commit.
    CommitFencedGeneration,
    /// A new coordinator begins its groups' generations anew.
    ForgetGenerations,
    /// Each member gets what the first one has.
    AssignTwice,
    /// A follower that has parted from its leader appends behind what the leader does not have.
    SkipDivergence,
    /// A leader appends a producer's batch whatever its sequence.
    SkipSequenceCheck,
    /// A follower does not take in what its leader's log says of producers.
    ForgetDedupWindow,
    /// A batch that is there already is acknowledged before all in sync have it.
    AnswerDuplicateAtOnce,
    /// A batch that is there already is answered with the time of this try.
    StampDuplicatesAnew,
    /// A client sends a batch that may be in the log once more under a new epoch.
    RestampInDoubt,
}

/// Whether this build, in this process, has the bug.
#[cfg(not(brooklet_bugs))]
#[inline(always)]
pub(crate) const fn is(_: Bug) -> bool {
    false
}

/// Whether this build, in this process, has the bug.
///
/// # Panics
/// If `BROOKLET_BUG` names one that does not exist.
#[cfg(brooklet_bugs)]
pub(crate) fn is(bug: Bug) -> bool {
    static CHOSEN: crate::sync::OnceLock<Option<Bug>> = crate::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("BROOKLET_BUG").ok().filter(|name| !name.is_empty())?;
        let found = ALL.iter().copied().find(|bug| format!("{bug:?}") == name);
        assert!(found.is_some(), "there is no bug {name:?}");
        found
    });
    *chosen == Some(bug)
}
