//! An open file of a simulated disk.

use super::{
    DiskOp,
    content::Content,
    disk::{Disk, Extent, Session, State},
    fate::Fate,
};
use crate::{
    env::{Bytes, Clock, File, Open},
    error::Result,
    sync::Mutex,
    types::Timestamp,
};
use std::{
    fmt,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

/// A file that is appended to gets longer in such steps, as on a real disk (in larger ones): nobody may take its length
/// for the end of what was written.
const STEP: u64 = 4096;

pub(super) struct SimFile {
    pub(super) disk: Arc<Disk>,
    pub(super) session: Session,
    pub(super) clock: Clock,
    pub(super) path: Arc<Path>,
    pub(super) how: Open,
    pub(super) content: Arc<Mutex<Content>>,
}

impl SimFile {
    /// Does an operation that changes the file.
    fn change(
        &self,
        (op, offset, len): (DiskOp, u64, u64),
        run: impl FnOnce(&mut State, &mut Content, Extent) -> io::Result<()>,
    ) -> Result<()> {
        self.disk.operate_in_part(self.session, (op, &self.path, offset, len), |state, extent| {
            if self.how == Open::Read {
                return Err(ErrorKind::PermissionDenied.into());
            }
            let mut content = self.content.lock();
            content.used_by(self.session.id);
            content.touch(self.clock.wall());
            run(state, &mut content, extent)
        })
    }

    fn read<T>(&self, offset: u64, len: usize, run: impl FnOnce(&mut Content) -> io::Result<T>) -> Result<T> {
        let what = (DiskOp::Read, &self.path, offset, len as u64);
        self.disk.operate(self.session, what, |_| run(&mut self.content.lock()))
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("path", &self.path).field("how", &self.how).finish_non_exhaustive()
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64> {
        self.disk.peek(self.session, &self.path, |_| self.content.lock().len())
    }

    fn modified(&self) -> Result<Option<Timestamp>> {
        self.disk.peek(self.session, &self.path, |_| Some(self.content.lock().modified()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.read(offset, buffer.len(), |content| Ok(content.read(offset, buffer)))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.change((DiskOp::Write, offset, bytes.len() as u64), |state, content, extent| {
            let bytes = match extent {
                Extent::Whole => bytes,
                Extent::Failing | Extent::Cut => {
                    let done = state.prng.below(bytes.len() as u64 + 1);
                    bytes.get(..done as usize).unwrap_or_default()
                }
                Extent::Short => {
                    let done = 1 + state.prng.below((bytes.len() as u64).saturating_sub(1));
                    bytes.get(..done as usize).unwrap_or_default()
                }
            };
            let start = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
            let end = start.checked_add(bytes.len()).ok_or(ErrorKind::FileTooLarge)? as u64;
            match self.how {
                Open::Append { capacity } if end > content.len() => {
                    content.lengthen(end.next_multiple_of(STEP).min(capacity.max(end)));
                }
                _ => {}
            }
            content.write(start, bytes);
            Ok(())
        })
    }

    fn write_again(&self, from: u64, to: u64) -> Result<()> {
        self.change((DiskOp::Write, from, to.saturating_sub(from)), |state, content, extent| {
            let done = match extent {
                Extent::Whole => to.saturating_sub(from),
                Extent::Failing | Extent::Short | Extent::Cut => {
                    state.prng.below(to.saturating_sub(from) + 1)
                }
            };
            content.write_again(from, done);
            Ok(())
        })
    }

    fn reserve(&self, len: u64) -> Result<()> {
        self.change((DiskOp::Reserve, 0, len), |_, content, extent| {
            if extent != Extent::Failing {
                content.lengthen(len);
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change((DiskOp::SetLen, 0, len), |_, content, extent| {
            if extent != Extent::Failing {
                content.set_len(len);
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        let what = (DiskOp::Flush, &self.path, 0, 0);
        self.disk.operate_in_part(self.session, what, |state, extent| {
            let mut content = self.content.lock();
            match extent {
                Extent::Whole => content.sync(),
                Extent::Failing | Extent::Short => content.settle(&mut Fate::Drawn(&mut state.prng)),
                // Any part of it may have happened: the power cut itself decides.
                Extent::Cut => {}
            }
            Ok(())
        })
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.read(offset, len, |content| {
            let end = offset.saturating_add(len as u64);
            if end > content.len() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut bytes = vec![0; len];
            content.read(offset, &mut bytes);
            content.hand_out(self.session.id, offset, end);
            Ok(bytes.into())
        })
    }
}
