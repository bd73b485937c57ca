//! Records and record batches, byte for byte as Kafka writes them (magic 2).
//!
//! Everything here reads and writes slices; reading takes no memory at all. What is known of a batch's bytes is in
//! its type: a [`Batch`] was checked against its checksum, a [`ValidBatch`] is fit to be appended.

mod compression;
mod control;
mod decode;
mod encode;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod header;
mod headers;
mod input;
mod keep;
#[cfg(any(test, fuzzing))]
pub(crate) mod owned;
mod read;
mod valid;
mod varint;

#[cfg(test)]
mod tests;

pub(crate) use compression::{MAX_INFLATED, compression_is_there};
pub(crate) use control::ControlMarker;
pub(crate) use decode::{Batch, Place, RecordRef, crc32c};
pub(crate) use encode::{BatchWriter, Written, empty_batch, record_size};
pub(crate) use error::BatchError;
#[cfg(test)]
pub(crate) use header::{Attributes, BATCH_PREFIX_LEN};
pub(crate) use header::{BATCH_HEADER_LEN, BatchHeader};
pub use headers::{Header, HeaderIter, Headers};
pub use input::Record;
pub(crate) use keep::{emptied, keep_records};
pub(crate) use read::{take, take_array};
pub(crate) use valid::ValidBatch;
pub(crate) use varint::{read_uvarint, write_uvarint};
