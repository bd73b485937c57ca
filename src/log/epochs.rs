//! The leader-epoch cache: at which offset each leader epoch began. (Kafka: `LeaderEpochFileCache`)

use super::names::LEADER_EPOCHS;
use crate::{
    env::{Storage, read_file},
    error::Result,
    types::{LeaderEpoch, Offset},
};
use std::path::Path;

/// The checkpoint has a line of about 20 bytes for each epoch.
const LIMIT: u64 = 64 << 20;

/// Rising epochs with rising start offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// Where the first epoch begins that is known.
    pub(crate) fn start(&self) -> Option<Offset> {
        self.entries.first().map(|(_, start)| *start)
    }

    /// Notes that `epoch` begins at `start`, in place of entries that begin there or later; an epoch that is not
    /// newer than the latest changes nothing. Says whether anything changed.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if self.latest().is_some_and(|latest| epoch <= latest) {
            return false;
        }
        self.entries.retain(|(_, begun)| *begun < start);
        self.entries.push((epoch, start));
        true
    }

    /// The epoch of the record at `offset`.
    pub(crate) fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|(_, start)| *start <= offset);
        self.entries.get(after.checked_sub(1)?).map(|(epoch, _)| *epoch)
    }

    /// Forgets the epochs that begin at or beyond the log's end.
    pub(crate) fn truncate_end(&mut self, end: Offset) {
        self.entries.retain(|(_, start)| *start < end);
    }

    /// Forgets what lies wholly below the log's start: the epoch that reaches beyond it begins there. Says whether anything
    /// changed.
    pub(crate) fn truncate_start(&mut self, start: Offset) -> bool {
        let kept = self.entries.partition_point(|(_, begun)| *begun <= start).saturating_sub(1);
        self.entries.drain(..kept);
        match self.entries.first_mut() {
            Some((_, begun)) if *begun < start => *begun = start,
            _ => return kept > 0,
        }
        true
    }

    /// The newest epoch that is no newer than `epoch`, and where its records end. One that is older than all that are known
    /// ends where they begin.
    pub(crate) fn newest_until(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let end = self.end_offset(epoch, log_end)?;
        let after = self.entries.partition_point(|(entry, _)| *entry <= epoch);
        let known = after.checked_sub(1).and_then(|last| self.entries.get(last));
        Some((known.map_or(epoch, |(known, _)| *known), end))
    }

    /// Where the records of `epoch` end, be there any or not: at the start of the next one, or at the log's end. Of an
    /// epoch older than all that are known nothing is left: it ends where they begin. `None` if no epoch is known, or
    /// `epoch` is none.
    pub(crate) fn end_offset(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<Offset> {
        if epoch.0 < 0 || self.entries.is_empty() {
            return None;
        }
        let after = self.entries.partition_point(|(entry, _)| *entry <= epoch);
        Some(self.entries.get(after).map_or(log_end, |(_, start)| *start))
    }

    /// The file's text: version 0, a count, and a line for each epoch.
    pub(crate) fn to_text(&self) -> String {
        let lines: String = self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}\n")).collect();
        format!("0\n{}\n{lines}", self.entries.len())
    }

    /// Those of the checkpoint in a partition's directory; `None` if there is none, or it is anything but that.
    pub(crate) fn load(storage: &dyn Storage, dir: &Path) -> Result<Option<Self>> {
        let text = read_file(storage, &dir.join(LEADER_EPOCHS), LIMIT)?;
        Ok(text.and_then(|bytes| Self::parse(std::str::from_utf8(&bytes).ok()?)))
    }

    /// Reads the file's text; `None` if it is anything but that.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let version = lines.next()?;
        let count: usize = lines.next()?.parse().ok()?;
        let mut epochs = Self::default();
        for line in lines {
            let (epoch, start) = line.split_once(' ')?;
            let (epoch, start) = (LeaderEpoch(epoch.parse().ok()?), Offset::new(start.parse().ok()?));
            let rises = epochs.entries.last().is_none_or(|(e, s)| epoch > *e && start > *s);
            if !rises || epoch.0 < 0 || start < Offset::ZERO {
                return None;
            }
            epochs.entries.push((epoch, start));
        }
        (version == "0" && epochs.entries.len() == count).then_some(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs { entries: entries.iter().map(|(e, o)| (LeaderEpoch(*e), Offset::new(*o))).collect() }
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(0, 0), (2, 113)]);
        let end = |epoch| epochs.end_offset(LeaderEpoch(epoch), Offset::new(135)).map(Offset::get);
        assert_eq!(
            [end(-1), end(0), end(1), end(2), end(9)],
            [None, Some(113), Some(113), Some(135), Some(135)]
        );
    }

    #[test]
    fn an_epoch_of_which_nothing_is_left_ends_where_the_others_begin() {
        let epochs = epochs(&[(3, 0), (4, 20)]);
        assert_eq!(epochs.end_offset(LeaderEpoch(2), Offset::new(30)), Some(Offset::ZERO));
    }

    #[test]
    fn a_record_has_the_epoch_that_began_last() {
        let epochs = epochs(&[(0, 3), (2, 113)]);
        let at = |offset| epochs.at(Offset::new(offset)).map(|epoch| epoch.0);
        assert_eq!([at(2), at(3), at(112), at(113), at(900)], [None, Some(0), Some(0), Some(2), Some(2)]);
    }

    #[test]
    fn assigning_replaces_an_epoch_without_records() {
        let mut some = epochs(&[(0, 0), (1, 5)]);
        assert!(some.assign(LeaderEpoch(2), Offset::new(5)));
        assert_eq!(some, epochs(&[(0, 0), (2, 5)]));
        assert!(!some.assign(LeaderEpoch(2), Offset::new(9)));
    }

    #[test]
    fn reads_back_kafkas_text_and_refuses_any_other() {
        let text = "0\n2\n0 0\n2 113\n";
        assert_eq!(LeaderEpochs::parse(text).map(|e| e.to_text()).as_deref(), Some(text));
        for bad in [
            "",
            "1\n0\n",
            "0\n1\n",
            "0\n2\n0 0\n",
            "0\n2\n1 0\n0 5\n",
            "0\n2\n0 5\n1 5\n",
            "0\n1\nx 0\n",
            "0\n1\n0\n",
            "0\n1\n-1 0\n",
        ] {
            assert_eq!(LeaderEpochs::parse(bad), None, "{bad:?}");
        }
    }
}
