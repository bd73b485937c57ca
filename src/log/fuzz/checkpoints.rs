//! Checkpoints of any bytes.

use super::*;
use crate::log::names::LEADER_EPOCHS;
use std::path::Path;

/// Takes bytes for a checkpoint of all partitions: what is read is written, and read back.
pub(crate) fn checkpoint(bytes: &[u8]) {
    let path = Path::new("data").join(RECOVERY_POINTS);
    let storage = SimDisk::with_files(&Files::from([(path.clone(), bytes.to_vec())])).boot();
    match read_checkpoint(&*storage, &path) {
        Ok(offsets) => {
            assert!(offsets.iter().all(|(of, offset)| of.partition() >= 0 && *offset >= Offset::ZERO));
            write_checkpoint(&*storage, &path, &offsets).unwrap();
            assert_eq!(read_checkpoint(&*storage, &path).unwrap(), offsets);
        }
        Err(Error::KafkaStorageError { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}

/// Takes bytes for a checkpoint of leader epochs: likewise, and what they say is of one piece. A log takes them for what
/// they are, or for none.
pub(crate) fn epochs(bytes: &[u8]) {
    if let Some(epochs) = std::str::from_utf8(bytes).ok().and_then(LeaderEpochs::parse) {
        assert_eq!(LeaderEpochs::parse(&epochs.to_text()).as_ref(), Some(&epochs));
        let end = Offset::new(i64::MAX);
        let latest = epochs.latest().map_or(0, |latest| latest.0);
        for epoch in [0, 1, latest.saturating_sub(1), latest].map(LeaderEpoch) {
            let Some(ends) = epochs.end_offset(epoch, end) else { continue };
            assert!(epochs.at(ends).is_none_or(|at| at > epoch || ends == end), "{epoch} ends at {ends}");
            assert!(epochs.at(ends.plus(-1)).is_none_or(|at| at <= epoch), "{epoch} ends at {ends}");
        }
    }
    let disk = SimDisk::with_files(&Files::from([(Path::new(DIR).join(LEADER_EPOCHS), bytes.to_vec())]));
    let config = config(false, 4096);
    let (log, _) = open(&disk, &config, LoadedFrom::Crash(Offset::ZERO)).unwrap();
    let epoch = log.epoch();
    assert_eq!(close(log), Offset::ZERO);
    let (log, _) = open(&disk, &config, LoadedFrom::CleanClose(Offset::ZERO)).unwrap();
    assert_eq!(log.epoch(), epoch, "the same leader goes on after a clean close");
}
