//! Salvage: whatever happens to one file of a log, every record of a batch that is as it was comes back, at its offset, and
//! nothing else does.

use super::*;
use std::collections::BTreeMap;

/// A second apart, three records a batch, some seconds out of order.
fn times(n: i64) -> Vec<i64> {
    (n * 3..n * 3 + 3).map(|n| 1_000_000 + (n ^ 1) * 1000).collect()
}

const BATCHES: i64 = 30;

/// A log of several segments, in two leader epochs, closed: its files, and its end.
struct Image {
    config: LogConfig,
    files: BTreeMap<PathBuf, Vec<u8>>,
    end: Offset,
}

impl Image {
    fn new() -> Self {
        let mut store = Store::new(1024, 300);
        for n in 0..BATCHES / 2 {
            store.append(&times(n));
        }
        store.crash_and_reopen();
        for n in BATCHES / 2..BATCHES {
            store.append(&times(n));
        }
        let end = store.close();
        let files: BTreeMap<_, _> =
            store.files("").into_iter().map(|path| (path.clone(), store.content(&path))).collect();
        let image = Self { config: store.config, files, end };
        assert!(image.logs().len() >= 4);
        image
    }

    fn logs(&self) -> Vec<PathBuf> {
        self.files
            .keys()
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "log"))
            .cloned()
            .collect()
    }

    /// A disk with these files, one of which is another, or is missing.
    fn with(&self, other: &Path, bytes: Option<&[u8]>) -> Arc<dyn Storage> {
        let storage = SimDisk::new(0).boot();
        storage.create_dir(&self.config.dir).unwrap();
        for (path, good) in &self.files {
            let bytes = if path == other { bytes } else { Some(&**good) };
            if let Some(bytes) = bytes {
                storage.open(path, Open::Write).unwrap().write_at(0, bytes).unwrap();
            }
        }
        storage
    }

    /// Salvages, opens as a broker does then, and checks that nothing that is read is wrong, and that of the batches that
    /// begin at other offsets than `allowed` all is there. With `known`, the end of the log is.
    fn check(&self, storage: &Arc<dyn Storage>, known: bool, allowed: &[i64], what: &str) -> Salvaged {
        let closed = LoadedFrom::CleanClose(self.end);
        let found =
            salvage(&**storage, &self.config, Some(closed).filter(|_| known), Some(Offset::ZERO)).unwrap();
        let from = match (known, found.damage.is_empty()) {
            (true, true) => closed,
            (true, false) => LoadedFrom::Crash(self.end),
            (false, _) => LoadedFrom::Crash(Offset::ZERO),
        };
        let opened = Log::open(storage, self.config.clone(), from, found.start);
        let (mut log, recovered) = opened.unwrap_or_else(|error| panic!("{what}: {error}: {found:?}"));
        assert_eq!(recovered.bytes_cut, 0, "{what}: {found:?}");
        assert!(!known || log.end() == self.end, "{what}: {found:?}");
        let start = log.start().get();
        let (records, error) = read(&mut log, start, 400);
        assert_eq!(error, None, "{what}: {found:?}");
        let by_offset: BTreeMap<i64, &Read> = records.iter().map(|read| (read.0, read)).collect();
        assert_eq!(by_offset.len(), records.len(), "{what}: an offset twice");
        let whole = whole();
        assert!(by_offset.keys().all(|offset| *offset < whole.len() as i64), "{what}");
        for record in &whole {
            match by_offset.get(&record.0) {
                Some(read) => assert_eq!(*read, record, "{what}"),
                None => {
                    assert!(allowed.contains(&(record.0 / 3 * 3)), "{what}: {} is lost: {found:?}", record.0);
                }
            }
        }
        let told =
            |damage: &Damage| (damage.offset..damage.next_offset).all(|at| !by_offset.contains_key(&at));
        assert!(found.damage.iter().all(told), "{what}: told of what is there: {found:?}");
        // Nothing is left to be put in order.
        let again =
            salvage(&**storage, &self.config, Some(LoadedFrom::CleanClose(log.end())), found.start).unwrap();
        assert_eq!(again.damage, [], "{what}: {found:?}");
        found
    }
}

/// All of it, by offset.
fn whole() -> Vec<Read> {
    let times: Vec<i64> = (0..BATCHES).flat_map(times).collect();
    expected(&times, 0, times.len())
}

/// The base offset of the batch at each byte of a log file.
fn batches_of(bytes: &[u8]) -> Vec<i64> {
    let mut of = Vec::new();
    while let Some(batch) = Batch::unchecked(&bytes[of.len()..]) {
        let header = *batch.header();
        of.extend(std::iter::repeat_n(header.base_offset.get(), header.size));
    }
    assert_eq!(of.len(), bytes.len());
    of
}

#[test]
fn what_is_not_damaged_is_not_touched() {
    let image = Image::new();
    let storage = image.with(Path::new(""), None);
    assert_eq!(image.check(&storage, true, &[], "nothing is wrong").damage, []);
    for path in image.logs() {
        let file = storage.open(&path, Open::Read).unwrap();
        assert_eq!(file.bytes(0, file.len().unwrap() as usize).unwrap()[..], image.files[&path][..]);
    }
}

#[test]
fn every_flipped_bit_costs_its_own_batch_at_most() {
    let image = Image::new();
    let (mut cases, mut told) = (0, 0);
    for path in image.logs() {
        let good = &image.files[&path];
        let of = batches_of(good);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let storage = image.with(&path, Some(&bytes));
            let what = format!("bit {bit} of {}", path.display());
            let found = image.check(&storage, bit % 5 > 0, &of[bit / 8..=bit / 8], &what);
            (cases, told) = (cases + 1, told + u32::from(!found.damage.is_empty()));
        }
    }
    assert_eq!(cases, told);
}

#[test]
fn what_a_log_is_cut_at_or_zeros_are_written_over_is_lost_and_no_more() {
    let image = Image::new();
    for path in image.logs() {
        let good = &image.files[&path];
        let of = batches_of(good);
        for at in 0..good.len() {
            let (cut, mut zeros) = (&good[..at], good.clone());
            zeros[at..].fill(0);
            for (bytes, how) in [(cut, "cut"), (&zeros, "zeros")] {
                let storage = image.with(&path, Some(bytes));
                image.check(&storage, at % 5 > 0, &of[at..], &format!("{} {how} at {at}", path.display()));
            }
        }
        let what = format!("{} is missing", path.display());
        image.check(&image.with(&path, None), true, &of, &what);
    }
}

#[test]
fn a_hole_in_a_log_costs_the_batches_that_it_touches() {
    let image = Image::new();
    for path in image.logs() {
        let good = &image.files[&path];
        let of = batches_of(good);
        for (from, len) in (0..good.len()).flat_map(|at| [(at, 1), (at, 70), (at, 200)]) {
            let to = (from + len).min(good.len());
            let mut bytes = good.clone();
            bytes[from..to].fill(0xff);
            let what = format!("bytes {from} to {to} of {}", path.display());
            image.check(&image.with(&path, Some(&bytes)), from % 5 > 0, &of[from..to], &what);
        }
    }
}

#[test]
fn damaged_epochs_cost_nothing() {
    let image = Image::new();
    let path = image.config.dir.join("leader-epoch-checkpoint");
    let good = &image.files[&path];
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        image.check(&image.with(&path, Some(&bytes)), true, &[], &format!("bit {bit} of the epochs"));
    }
    image.check(&image.with(&path, None), true, &[], "no epochs");
}

#[test]
fn what_was_never_durable_is_left_to_recovery() {
    let image = Image::new();
    let path = image.logs().pop().unwrap();
    let mut bytes = image.files[&path].clone();
    let len = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let first = batches_of(&bytes)[0];
    bytes[70] ^= 1;
    let storage = image.with(&path, Some(&bytes));
    let from = LoadedFrom::Crash(Offset::new(first));
    let found = salvage(&*storage, &image.config, Some(from), Some(Offset::ZERO)).unwrap();
    assert_eq!(found.damage, []);
    let (log, recovered) = Log::open(&storage, image.config.clone(), from, found.start).unwrap();
    assert_eq!((log.end().get(), recovered.bytes_cut, recovered.good_batches_cut), (first, len as u64, true));
}

#[test]
fn a_log_of_which_nothing_is_left_goes_on_at_its_end() {
    let image = Image::new();
    let storage = SimDisk::new(0).boot();
    storage.create_dir(&image.config.dir).unwrap();
    let known = Some(LoadedFrom::Crash(image.end));
    let found = salvage(&*storage, &image.config, known, Some(Offset::ZERO)).unwrap();
    assert_eq!((found.damage[0].offset, found.damage[0].next_offset), (0, image.end.get()));
    let opened = Log::open(&storage, image.config, LoadedFrom::Crash(found.end), found.start).unwrap();
    assert_eq!((opened.0.start(), opened.0.end()), (image.end, image.end));
}
