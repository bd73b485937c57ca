//! What a consumer reads is committed, so that it never vanishes and never becomes something else.

use super::{Held, broken, committed::Committed, copies::Stamp};
use crate::record::Batch;

/// A leader has given these batches to a consumer.
pub(super) fn check(committed: &Committed, mut records: &[u8], name: &dyn Fn() -> String) -> Held {
    while let Some(batch) = Batch::unchecked(records) {
        let read = Stamp::of(batch.header());
        let there = committed.at(read.base);
        if there != Some(&read) {
            let what = format_args!("{}: {read:?} is read where {there:?} is committed", name());
            return Err(broken("consistent reads", what));
        }
        records = records.get(batch.header().size..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::committed::tests::{by, leader},
        *,
    };
    use crate::{record::BatchWriter, types::Timestamp};

    /// The bytes of a batch at offset 0.
    fn batch(value: &str) -> Vec<u8> {
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        writer.push(Timestamp::default(), None, Some(value.as_bytes()), &[]).expect("it fits");
        writer.finish().bytes().to_vec()
    }

    fn stamp(bytes: &[u8]) -> Stamp {
        Stamp::of(Batch::unchecked(bytes).expect("it is one").header())
    }

    #[test]
    fn what_is_read_and_not_committed_or_another_one_is_seen() {
        let (there, other) = (batch("there"), batch("other"));
        let reads = |committed: &Committed, bytes: &[u8]| check(committed, bytes, &String::new).is_ok();
        let committed = by(&leader(-1, 1, &[stamp(&there)]));
        assert!(reads(&committed, &there) && reads(&committed, &[]));
        assert!(reads(&committed, &there[..there.len() - 1]), "one that is cut short is not read");
        assert!(!reads(&committed, &other));
        assert!(!reads(&committed, &[there.clone(), other].concat()), "the second one");
        assert!(!reads(&by(&leader(-1, 0, &[stamp(&there)])), &there), "it lies above the high watermark");
    }
}
