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
