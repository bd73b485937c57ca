//! Taking space on the disk before it is written to.

use std::{fs::File, io};

/// Takes the space of the bytes from `from` to `to` (exclusive), and lengthens a shorter file to `to`, with zeros.
/// `false`, and nothing happens, where the file system cannot do that.
#[cfg(target_os = "linux")]
pub(super) fn allocate(file: &File, from: u64, to: u64) -> io::Result<bool> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    if from >= to {
        return Ok(true);
    }
    loop {
        match fallocate(file, FallocateFlags::empty(), from, to - from) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allocate(_file: &File, _from: u64, _to: u64) -> io::Result<bool> {
    Ok(false)
}

/// File systems that take new space when a page is written again (copy on write), or whose pages are somebody else's
/// (another host, another process): on a full disk a write into a map would end the process there, whatever was
/// allocated before. The numbers are Linux's, from `statfs(2)`.
#[cfg(target_os = "linux")]
const NOT_IN_PLACE: [u32; 12] = [
    0x9123_683e, // btrfs
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // ZFS
    0x3434,      // NILFS
    0x6573_5546, // FUSE
    0x6969,      // NFS
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x6b41_4653, // AFS (in the kernel)
    0x5346_414f, // OpenAFS
];

/// Whether allocated space stays the file's own however often it is written, so that a write into a map cannot fail
/// for want of space.
#[cfg(target_os = "linux")]
pub(super) fn writes_in_place(file: &File) -> bool {
    // The number has 32 bits; the type's width and sign differ between processors.
    rustix::fs::fstatfs(file).is_ok_and(|system| !NOT_IN_PLACE.contains(&(system.f_type as u32)))
}
