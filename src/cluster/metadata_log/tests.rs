use super::*;
use crate::{
    env::{DiskOp, SimDisk},
    rpc::metadata_record::MetadataRecord,
    types::TopicId,
};

const DIR: &str = "metadata";

fn entry(term: u64, index: u64) -> Entry {
    let id = TopicId::from_bytes([index as u8; 16]);
    let payload = Arc::from([MetadataRecord::RemoveTopic { id }]);
    Entry { term: Term(term), index: Index(index), payload }
}

fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: Index(index) }
}

fn snapshot(term: u64, index: u64) -> Snapshot {
    let records = (0..index).map(|next| MetadataRecord::ProducerIds { next: next as i64 }).collect();
    Snapshot { position: at(term, index), records }
}

#[test]
fn what_was_saved_appended_and_truncated_survives_a_power_cut() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let (mut log, restored) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
        assert_eq!((restored.term, restored.log.len()), (Term(0), 0));
        log.save(Term(3), Some(2.into())).unwrap();
        log.append(&[entry(1, 1), entry(1, 2), entry(2, 3)]).unwrap();
        log.truncate(Index(2)).unwrap();
        log.append(&[entry(3, 2)]).unwrap();
        disk.power_cut();
        assert!(log.append(&[entry(3, 3)]).is_err());
        let (_, restored) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
        assert_eq!((restored.term, restored.vote), (Term(3), Some(2.into())));
        assert_eq!(restored.log, [entry(1, 1), entry(3, 2)]);
    }
}

#[test]
fn a_torn_append_leaves_whole_entries() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let (mut log, _) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
        log.append(&[entry(1, 1)]).unwrap();
        let fault = disk.intercept(DiskOp::Any).skip(seed % 2).power_cut();
        assert!(log.append(&[entry(1, 2), entry(1, 3), entry(1, 4)]).is_err());
        fault.remove();
        let (mut log, restored) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
        let count = restored.log.len() as u64;
        assert!((1..=4).contains(&count));
        assert!((1..=count).zip(&restored.log).all(|(index, read)| *read == entry(1, index)));
        log.append(&[entry(2, count + 1)]).unwrap();
        let (_, restored) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
        assert_eq!(restored.log.len() as u64, count + 1);
    }
}

/// What is done to a log, one thing after the other.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Entry>),
    Truncate(u64),
    Snapshot(Snapshot),
    Drop(Position),
    Install(Snapshot),
}

fn steps() -> Vec<Step> {
    vec![
        Step::Append((1..=6).map(|index| entry(1, index)).collect()),
        Step::Snapshot(snapshot(1, 2)),
        Step::Append(vec![entry(1, 7), entry(1, 8)]),
        Step::Snapshot(snapshot(1, 5)),
        Step::Drop(at(1, 2)),
        Step::Truncate(8),
        Step::Append(vec![entry(2, 8), entry(2, 9), entry(2, 10)]),
        Step::Snapshot(snapshot(2, 10)),
        Step::Drop(at(1, 5)),
        // Over a log that is shorter; over one that is longer, and another one.
        Step::Install(snapshot(3, 20)),
        Step::Append((21..=24).map(|index| entry(3, index)).collect()),
        Step::Install(snapshot(4, 22)),
        Step::Append(vec![entry(4, 23)]),
        Step::Snapshot(snapshot(4, 23)),
        Step::Drop(at(4, 23)),
        Step::Append(vec![entry(4, 24)]),
    ]
}

fn take(log: &mut MetadataLog, step: &Step) -> Result<()> {
    match step {
        Step::Append(entries) => log.append(entries),
        Step::Truncate(from) => log.truncate(Index(*from)),
        Step::Snapshot(snapshot) => log.save_snapshot(snapshot),
        Step::Drop(position) => log.drop_up_to(*position),
        Step::Install(snapshot) => log.install(snapshot),
    }
}

/// What a disk holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held {
    snapshot: Snapshot,
    base: Position,
    log: Vec<Entry>,
}

impl Held {
    fn of(restored: &Restored) -> Self {
        let Restored { snapshot, base, log, .. } = restored.clone();
        Self { snapshot, base, log }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append(entries) => self.log.extend(entries.iter().cloned()),
            Step::Truncate(from) => self.log.retain(|entry| entry.index.0 < *from),
            Step::Snapshot(snapshot) => self.snapshot = snapshot.clone(),
            Step::Drop(position) => {
                self.log.retain(|entry| entry.index > position.index);
                self.base = *position;
            }
            Step::Install(snapshot) => {
                (self.snapshot, self.base, self.log) = (snapshot.clone(), snapshot.position, Vec::new());
            }
        }
    }

    /// Whether a power cut in a step may leave it.
    fn may_be(&self, before: &Self, step: &Step) -> bool {
        let mut after = before.clone();
        after.take(step);
        let is_part = || {
            let mut part = self.clone();
            part.log.clone_from(&before.log);
            part == *before && after.log.starts_with(&self.log) && self.log.starts_with(&before.log)
        };
        self == before || *self == after || matches!(step, Step::Append(_)) && is_part()
    }
}

#[test]
fn whatever_a_power_cut_interrupts_the_snapshot_and_the_log_behind_it_are_there() {
    let mut cuts = 0;
    for seed in crate::seeds(30) {
        for nth in 0.. {
            let disk = SimDisk::new(seed);
            let (mut log, _) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
            let fault = disk.intercept(DiskOp::Any).skip(nth).power_cut();
            let (mut held, mut cut) = (Held::default(), None);
            for step in steps() {
                if take(&mut log, &step).is_err() {
                    cut = Some(step);
                    break;
                }
                held.take(&step);
            }
            fault.remove();
            let (mut log, restored) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
            let found = Held::of(&restored);
            let Some(step) = cut else {
                assert_eq!(found, held);
                break;
            };
            assert!(found.may_be(&held, &step), "seed {seed}, {nth}: {step:?} of {held:?} left {found:?}");
            // It goes on from there.
            let next = found.log.last().map_or(found.base, Entry::position).index.0 + 1;
            log.append(&[entry(9, next)]).unwrap();
            let (_, restored) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
            let wanted = Held { log: [found.log, vec![entry(9, next)]].concat(), ..found };
            assert_eq!(Held::of(&restored), wanted);
            cuts += 1;
        }
    }
    println!("{cuts} power cuts");
}

#[test]
fn what_lies_between_two_entries_is_counted() {
    let disk = SimDisk::new(0);
    let (mut log, _) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
    log.append(&[entry(1, 1), entry(1, 2), entry(1, 3)]).unwrap();
    let one = log.bytes_between(Index(1), Index(2));
    assert!(one > 0);
    assert_eq!(log.bytes_between(Index(0), Index(3)), 3 * one);
    log.save_snapshot(&snapshot(1, 2)).unwrap();
    log.drop_up_to(at(1, 1)).unwrap();
    assert_eq!(
        (log.bytes_between(Index(0), Index(3)), log.bytes_between(Index(2), Index(3))),
        (2 * one, one)
    );
    assert_eq!((log.bytes_between(Index(2), Index(9)), log.bytes_between(Index(3), Index(3))), (one, 0));
}

fn overwrite(disk: &SimDisk, name: &str, bytes: &[u8]) {
    replace_file(&*disk.boot(), &Path::new(DIR).join(name), bytes).unwrap();
}

#[test]
fn a_damaged_snapshot_is_an_error_and_never_another_one() {
    let snapshot = snapshot(3, 7);
    let bytes = snapshot::to_bytes(&snapshot);
    assert_eq!(snapshot::from_bytes(&bytes), Some(snapshot));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(snapshot::from_bytes(&flipped), None, "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_eq!(snapshot::from_bytes(&bytes[..len]), None, "length {len}");
    }
    let disk = SimDisk::new(0);
    MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
    overwrite(&disk, SNAPSHOT, &bytes[1..]);
    let opened = MetadataLog::open(&disk.boot(), Path::new(DIR));
    assert!(matches!(opened, Err(Error::KafkaStorageError { .. })), "{opened:?}");
}

#[test]
fn a_log_whose_beginning_is_lost_is_an_error() {
    let disk = SimDisk::new(0);
    let (mut log, _) = MetadataLog::open(&disk.boot(), Path::new(DIR)).unwrap();
    log.append(&[entry(1, 1), entry(1, 2)]).unwrap();
    let open = || MetadataLog::open(&disk.boot(), Path::new(DIR)).map(|(_, restored)| restored.log.len());
    assert_eq!(open().unwrap(), 2);
    let bytes = read_file(&*disk.boot(), &Path::new(DIR).join(ENTRIES), LIMIT).unwrap().unwrap();
    for bit in 0..HEADER * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        overwrite(&disk, ENTRIES, &flipped);
        assert!(open().is_err(), "bit {bit}");
    }
    overwrite(&disk, ENTRIES, &bytes[..HEADER - 1]);
    assert!(open().is_err());
    // What has the entries before it is not there.
    overwrite(&disk, ENTRIES, &[header(at(1, 2)), bytes[HEADER..].to_vec()].concat());
    assert!(open().is_err());
    overwrite(&disk, ENTRIES, &bytes);
    assert_eq!(open().unwrap(), 2);
}

#[test]
fn a_frame_that_says_that_it_is_long_takes_no_memory() {
    let mut bytes = header(Position::default());
    bytes.extend([0xff; 8]);
    assert_eq!(read_frames(&bytes, Index(0)).0, []);
    let mut frame = Vec::new();
    write_frame(&entry(1, 1), &mut frame);
    let bytes = [header(Position::default()), frame].concat();
    assert_eq!((read_frames(&bytes, Index(0)).0.len(), read_frames(&bytes, Index(u64::MAX)).0.len()), (1, 0));
}
