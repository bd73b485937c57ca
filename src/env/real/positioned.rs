//! Reads and writes at a position, which leave the file's own position alone where the system can do that.

use std::{
    fs::File,
    io::{self, ErrorKind},
};

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

#[cfg(unix)]
fn write_some(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
fn write_some(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

/// Elsewhere all files share one lock, for a seek and what follows it.
#[cfg(not(any(unix, windows)))]
static SEEK: crate::sync::Mutex<()> = crate::sync::Mutex::new(());

#[cfg(not(any(unix, windows)))]
fn read_some(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let _seek = SEEK.lock();
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Read::read(&mut file, buffer)
}

#[cfg(not(any(unix, windows)))]
fn write_some(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let _seek = SEEK.lock();
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Write::write(&mut file, bytes)
}

/// Fills the buffer as far as the file goes.
pub(super) fn read_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut total = 0;
    while !buffer.is_empty() {
        match read_some(file, buffer, offset) {
            Ok(0) => break,
            Ok(n) => {
                total += n;
                offset += n as u64;
                buffer = buffer.get_mut(n..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// Writes all of the bytes.
pub(super) fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_some(file, bytes, offset) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                offset += n as u64;
                bytes = bytes.get(n..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How much is rewritten at a time.
const CHUNK: u64 = 1 << 20;

/// Writes what is there over itself.
pub(super) fn rewrite(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; usize::try_from(to.saturating_sub(from).min(CHUNK)).unwrap_or(0)];
    let mut at = from;
    while at < to {
        let want = usize::try_from((to - at).min(CHUNK)).unwrap_or(0);
        let read = read_at(file, buffer.get_mut(..want).unwrap_or_default(), at)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        write_at(file, buffer.get(..read).unwrap_or_default(), at)?;
        at += read as u64;
    }
    Ok(())
}
