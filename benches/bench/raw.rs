//! The raw loops: the same bytes with nothing around them.
//!
//! They write through the crate's own file of maps, the only one with `unsafe`, instead of through a second such file.

#[path = "../../src/env/mmap.rs"]
#[allow(dead_code, unused_imports)]
mod map;

use crate::harness::rate;
use map::{Map, Maps};
use std::{
    fs::{File, OpenOptions},
    hint::black_box,
    os::unix::fs::FileExt,
    path::Path,
    time::Instant,
};

/// As much as a segment may have by default, all of it mapped at once.
const CAPACITY: usize = 1 << 30;

fn create(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).unwrap()
}

fn allocate(file: &File, from: u64, to: u64) {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), from, to - from).unwrap();
}

/// Copies records into a fresh mapped file, with CRC-32C over them. The space is taken in steps like brooklet's.
pub struct Writer {
    file: File,
    map: Map,
    reserved: u64,
    at: usize,
}

impl Writer {
    pub fn new(path: &Path) -> Self {
        let file = create(path);
        let map = Map::writable(&file, CAPACITY, &Maps::new(1)).unwrap();
        Self { file, map, reserved: 0, at: 0 }
    }

    #[inline]
    pub fn append(&mut self, key: &[u8], value: &[u8]) {
        let (start, middle) = (self.at, self.at + key.len());
        self.at = middle + value.len();
        if self.at as u64 > self.reserved {
            self.grow();
        }
        assert!(self.map.write(start, key) && self.map.write(middle, value));
        black_box(crc32c::crc32c_append(crc32c::crc32c(key), value));
    }

    #[cold]
    fn grow(&mut self) {
        let to = (self.reserved + self.reserved.clamp(1 << 20, 16 << 20)).max(self.at as u64);
        allocate(&self.file, self.reserved, to);
        self.reserved = to;
    }
}

/// Writes `count` records, and gives how many a second.
pub fn write(path: &Path, count: usize, value: &[u8]) -> f64 {
    let begun = Instant::now();
    let mut writer = Writer::new(path);
    for n in 0..count as u64 {
        writer.append(black_box(&n.to_be_bytes()), black_box(value));
    }
    rate(count, begun)
}

/// Goes through a file of `count` records of `size` bytes, through a fresh map, with the CRC-32C of each.
pub fn read(path: &Path, count: usize, size: usize) -> f64 {
    let begun = Instant::now();
    let file = File::open(path).unwrap();
    let map = Map::read_only(&file, count * size, &Maps::new(1)).unwrap();
    let bytes = map.written(0, count * size);
    assert_eq!(bytes.len(), count * size);
    let sum = bytes.chunks_exact(size).fold(0, |sum, record| sum ^ crc32c::crc32c(record));
    black_box(sum);
    rate(count, begun)
}

/// A new file whose space is taken, up to `len` bytes.
pub fn allocated(path: &Path, len: u64) -> File {
    let file = create(path);
    allocate(&file, 0, len);
    file.sync_all().unwrap();
    file
}

/// Reads a file, at most `most` bytes of it, with CRC-32C over them.
pub fn checksum(path: &Path, most: usize) {
    let file = File::open(path).unwrap();
    let len = usize::try_from(file.metadata().unwrap().len()).unwrap().min(most);
    let (mut at, mut sum, mut buffer) = (0, 0, vec![0; 1 << 20]);
    while at < len {
        let want = (len - at).min(buffer.len());
        file.read_exact_at(&mut buffer[..want], at as u64).unwrap();
        sum = crc32c::crc32c_append(sum, &buffer[..want]);
        at += want;
    }
    black_box(sum);
}

/// Positioned writes into a file whose space is taken, each followed by fdatasync; gives the time of each, in ns.
pub fn synced_writes(path: &Path, count: usize, bytes: &[u8]) -> Vec<u64> {
    let file = allocated(path, 1 << 20);
    let write = |n: usize| {
        let begun = Instant::now();
        file.write_all_at(bytes, (n * bytes.len()) as u64).unwrap();
        file.sync_data().unwrap();
        begun.elapsed().as_nanos() as u64
    };
    (0..count).map(write).collect()
}
