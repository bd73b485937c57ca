//! What members of a quorum say to each other, and what they replicate.

use crate::{rpc::metadata_record::MetadataRecord, types::BrokerId};
use std::{fmt, sync::Arc};

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
    /// Who, beside the voters, gets the entries from now on. Every voter is told, since each may come to lead.
    SetObservers(Vec<BrokerId>),
}

/// Something to be done about it.
///
/// # The contract
/// Effects are carried out in order, also over steps: what one step gave comes before what the next one gives. `Save`,
/// `Truncate` and `Append` are durable before anything that comes later is begun; meanwhile the member may already take
/// the next event. So a message never tells of what a crash could take back, and a leader counts an entry as stored from
/// the moment that it gave `Append`. A crash may come between any two effects and inside an `Append`, of which a first part
/// is durable then; what was not carried out is forgotten, and the member is made anew from what was durable.
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
    /// May be lost, late, twice or overtaken.
    Send {
        to: BrokerId,
        message: Message,
    },
    /// Up to here, inclusive, entries will never change. Who was made anew is told so from the first entry on again.
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
