//! `.txnindex`: the transactions that were aborted by markers in a segment. (Kafka: `TransactionIndex`)

use crate::{rpc::AbortedTransaction, types::Offset};

const VERSION: i16 = 0;
/// Version i16; producer id, first offset, last offset, last stable offset i64.
pub(crate) const ENTRY: usize = 34;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    producer_id: i64,
    first: Offset,
    /// The marker's.
    last: Offset,
    last_stable: Offset,
}

/// The entries of a segment's `.txnindex`, in the order of their markers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TxnIndex {
    entries: Vec<Entry>,
}

impl TxnIndex {
    pub(crate) fn push(&mut self, producer_id: i64, first: Offset, last: Offset, last_stable: Offset) {
        self.entries.push(Entry { producer_id, first, last, last_stable });
    }

    /// Adds the transactions that overlap the offsets from `from` to `below` (exclusive). Says whether those that come later
    /// cannot.
    pub(crate) fn collect(&self, from: Offset, below: Offset, into: &mut Vec<AbortedTransaction>) -> bool {
        for entry in &self.entries {
            if entry.last >= from && entry.first < below {
                let (producer_id, first_offset) = (entry.producer_id, entry.first);
                into.push(AbortedTransaction { producer_id, first_offset });
            }
            if entry.last_stable >= below {
                return true;
            }
        }
        false
    }

    /// The file's bytes; none without an entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY);
        for entry in &self.entries {
            bytes.extend(VERSION.to_be_bytes());
            bytes.extend(entry.producer_id.to_be_bytes());
            bytes.extend(entry.first.get().to_be_bytes());
            bytes.extend(entry.last.get().to_be_bytes());
            bytes.extend(entry.last_stable.get().to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_31_what_overlaps_a_fetch_is_told() {
        let mut index = TxnIndex::default();
        let mut push = |id, first, last, stable| {
            index.push(id, Offset::new(first), Offset::new(last), Offset::new(stable));
        };
        push(1, 0, 10, 5);
        push(2, 5, 12, 13);
        push(3, 20, 25, 26);
        let collect = |from, below| {
            let mut found = Vec::new();
            let all = index.collect(Offset::new(from), Offset::new(below), &mut found);
            (found.iter().map(|aborted| aborted.producer_id).collect::<Vec<_>>(), all)
        };
        assert_eq!(
            collect(0, 5),
            (vec![1], true),
            "the last stable offset was 5 then: all later ones begin there"
        );
        assert_eq!(collect(0, 6), (vec![1, 2], true));
        assert_eq!(collect(11, 14), (vec![2], true));
        assert_eq!(collect(13, 30), (vec![3], false));
        assert_eq!(index.encode().len(), 3 * ENTRY);
    }
}
