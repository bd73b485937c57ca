//! What members of a quorum say to each other, and what they replicate.

use crate::{rpc::metadata_record::MetadataRecord, types::BrokerId};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// Counts elections: each has at most one winner. (Kafka calls it the controller's epoch.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Term(pub(crate) u64);

impl Term {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry's place in the log, from 1 on; 0 lies before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Index(pub(crate) u64);

impl Index {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry, told from others that were at its index. Of two logs' ends the greater one belongs to the log that is
/// more up to date (Raft §5.4.1), hence the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Position {
    pub(crate) term: Term,
    pub(crate) index: Index,
}

/// Records that are committed together or not at all. None: the entry with which a leader begins its term.
pub(crate) type Payload = Arc<[MetadataRecord]>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) index: Index,
    pub(crate) payload: Payload,
}

impl Entry {
    pub(crate) fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }
}

/// What all entries up to one have come to, that inclusive: it is committed. (Kafka names a snapshot by its end offset and epoch.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Snapshot {
    pub(crate) position: Position,
    pub(crate) records: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The sender's.
    pub(crate) term: Term,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Would I be elected in the next term? `last` ends the sender's log.
    PreVote {
        last: Position,
    },
    PreVoted {
        granted: bool,
    },
    Vote {
        last: Position,
    },
    Voted {
        granted: bool,
    },
    /// The leader's entries behind `previous`, or none: a heartbeat.
    Append {
        previous: Position,
        entries: Vec<Entry>,
        commit: Index,
    },
    /// The leader has not got any more what comes next; this it has in place of all up to there. (Kafka: `FetchSnapshot`, which
    /// its voters ask for.)
    Snapshot(Snapshot),
    /// Up to here, inclusive, the log is the leader's, durably.
    Appended {
        up_to: Index,
    },
    /// The log has no such `previous`; `hint` is where the leader may find what both have.
    Refused {
        previous: Index,
        hint: Position,
    },
}

/// Something that happens to a member.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// [`next_deadline`](super::Quorum::next_deadline) has come.
    Tick,
    Received {
        from: BrokerId,
        message: Message,
    },
    /// Each becomes an entry, in this order. Who is not the leader does nothing: ask for its role before.
    Propose(Vec<Payload>),
    /// What was committed up to this snapshot's position lasts as the snapshot, too: what lies before it may go. Its position is
    /// what [`snapshot_at`](super::Quorum::snapshot_at) has said.
    Snapshotted(Snapshot),
    /// Among voters one is to come or go: these vote from now on, if [they may](super::Quorum::may_change_voters); else nothing happens.
    ChangeVoters(BTreeSet<BrokerId>),
    /// Who, beside the voters, gets the entries from now on. Every member is told, since each may come to lead;
    /// voters that are among them are voters. Who is a voter no more gets them until the leader is told the next time.
    SetObservers(Vec<BrokerId>),
}

/// Something to be done about it.
///
/// # The contract
/// Effects are carried out in order, also over steps: what one step gave comes before what the next one gives. `Save`,
/// `Truncate`, `Append`, `Install` and `Drop` are durable before anything that comes later is begun; meanwhile the member may
/// already take the next event. So a message never tells of what a crash could take back, and a leader counts an entry as
/// stored from the moment that it gave `Append`. A crash may come between any two effects and inside an `Append`, of which a
/// first part is durable then; what was not carried out is forgotten, and the member is made anew from what was durable.
///
/// A snapshot that the member is told of with [`Event::Snapshotted`] is durable before, and takes the place of the one before it, if
/// that is older. After a crash the newest snapshot counts, and of the log what follows it without a gap: so an `Install` may be cut by a
/// crash, too, when the snapshot is durable and the log is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Save {
        term: Term,
        vote: Option<BrokerId>,
    },
    /// The entries from here on, inclusive, are not the quorum's.
    Truncate {
        from: Index,
    },
    /// They follow what is there.
    Append(Vec<Entry>),
    /// This snapshot is all that the quorum has up to its position; what the log has, before it or behind, goes. The state that
    /// was applied is replaced by the snapshot's: what it does not say of something that was there is that this is gone. It
    /// counts as committed and applied up to there.
    Install(Snapshot),
    /// The log's entries up to here, inclusive, are not needed any more: the snapshot, which is durable, has them.
    Drop {
        up_to: Position,
    },
    /// May be lost, late, twice or overtaken.
    Send {
        to: BrokerId,
        message: Message,
    },
    /// Up to here, inclusive, entries will never change. Who was made anew is told so again, of all that
    /// lies behind its snapshot.
    Committed {
        up_to: Index,
    },
    /// This member leads. Its log has all that was ever committed; but only when its own first entry, `first`, is
    /// committed does it know that all before is, too.
    Elected {
        term: Term,
        first: Index,
    },
    /// It does not lead any more. Entries that are not committed may be, later, or may vanish.
    Resigned,
}
