//! The codecs, each behind a Cargo feature of its name. Only the records of a batch are compressed, never its header.

use super::error::BatchError;
use crate::types::Compression;
use std::io::{self, Read};

/// How many bytes the records of one batch may have uncompressed, where nobody says otherwise. A fuzzer looks for those who
/// take more, in little memory.
pub(crate) const MAX_INFLATED: usize = if cfg!(fuzzing) { 1 << 20 } else { 128 << 20 };

/// The uncompressed records, behind what `out` holds; at most `limit` bytes of them. Memory is taken as bytes come out,
/// whatever the input claims.
pub(super) fn decompress(
    codec: Compression,
    input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), BatchError> {
    let start = out.len();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::Unsupported => BatchError::UnsupportedCodec(codec),
        io::ErrorKind::FileTooLarge => BatchError::InflatedTooLarge { codec, limit },
        _ => BatchError::Compressed(codec),
    };
    match codec {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => gzip::read(input, out, limit).map_err(failed)?,
        Compression::Snappy => snappy::read(input, out, limit).map_err(failed)?,
        Compression::Lz4 => lz4::read(input, out, limit).map_err(failed)?,
        Compression::Zstd => zstd::read(input, out, limit).map_err(failed)?,
    }
    if out.len() - start > limit {
        return Err(BatchError::InflatedTooLarge { codec, limit });
    }
    Ok(())
}

/// Whether this build has a codec.
pub(crate) fn compression_is_there(codec: Compression) -> bool {
    !matches!(compress(codec, &[], &mut Vec::new()), Err(BatchError::UnsupportedCodec(_)))
}

/// Writes the records compressed, behind what `out` holds.
pub(super) fn compress(codec: Compression, input: &[u8], out: &mut Vec<u8>) -> Result<(), BatchError> {
    let written = match codec {
        Compression::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => gzip::write(input, out),
        Compression::Snappy => snappy::write(input, out),
        Compression::Lz4 => lz4::write(input, out),
        Compression::Zstd => zstd::write(input, out),
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => BatchError::UnsupportedCodec(codec),
        _ => BatchError::Compressed(codec),
    })
}

/// What a decoder gives, and one byte more than `limit` if there is more.
#[cfg_attr(
    not(any(feature = "gzip", feature = "lz4", feature = "zstd")),
    expect(dead_code, reason = "no codec")
)]
fn read_up_to(decoder: impl Read, out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(out).map(drop)
}

#[cfg(feature = "gzip")]
mod gzip {
    use std::io::{self, Write};

    pub(super) fn read(input: &[u8], out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        super::read_up_to(flate2::read::MultiGzDecoder::new(input), out, limit)
    }

    pub(super) fn write(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
        encoder.write_all(input)?;
        encoder.finish().map(drop)
    }
}

/// Xerial's framing: a header of 16 bytes, and blocks, each with its length.
#[cfg(feature = "snappy")]
mod snappy {
    use crate::record::read::{take, take_array};
    use std::io;

    const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
    const VERSION: [u8; 4] = 1i32.to_be_bytes();
    /// How much is compressed at once, as Kafka's Java client does it.
    const BLOCK: usize = 32 << 10;

    pub(super) fn read(input: &[u8], out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let Some(mut rest) = input.strip_prefix(MAGIC) else { return block(input, out, limit) };
        let limit = out.len().saturating_add(limit);
        // Two versions, of which none but the first is known; older readers passed over them too.
        take(&mut rest, 8).ok_or(io::ErrorKind::UnexpectedEof)?;
        while !rest.is_empty() {
            let len = u32::from_be_bytes(take_array(&mut rest).ok_or(io::ErrorKind::UnexpectedEof)?);
            // Frames may follow each other, each with its header.
            if len.to_be_bytes() == MAGIC[..4] && rest.get(..4) == Some(&MAGIC[4..]) {
                take(&mut rest, 12).ok_or(io::ErrorKind::UnexpectedEof)?;
                continue;
            }
            let compressed = take(&mut rest, len as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
            block(compressed, out, limit.saturating_sub(out.len()))?;
        }
        Ok(())
    }

    fn block(input: &[u8], out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let len = snap::raw::decompress_len(input)?;
        if len > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // Snappy makes at most 64 bytes of three: what claims more is not believed, and takes no memory.
        if len / 64 > input.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let start = out.len();
        out.resize(start + len, 0);
        let into = out.get_mut(start..).unwrap_or_default();
        let written = snap::raw::Decoder::new().decompress(input, into)?;
        out.truncate(start + written);
        Ok(())
    }

    pub(super) fn write(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION);
        out.extend_from_slice(&VERSION);
        let mut encoder = snap::raw::Encoder::new();
        for block in input.chunks(BLOCK) {
            let compressed = encoder.compress_vec(block)?;
            out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
            out.extend_from_slice(&compressed);
        }
        Ok(())
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
    use std::io::{self, Write};

    pub(super) fn read(input: &[u8], out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        super::read_up_to(FrameDecoder::new(input), out, limit)
    }

    pub(super) fn write(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let frame = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
        let mut encoder = FrameEncoder::with_frame_info(frame, out);
        encoder.write_all(input)?;
        encoder.finish().map(drop).map_err(io::Error::other)
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use std::io::{self, Write};

    /// Kafka's default level.
    const LEVEL: i32 = 3;
    /// The largest window that is decoded, as a power of two: the one that every decoder should allow.
    const WINDOW: u32 = 27;

    pub(super) fn read(input: &[u8], out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
        let mut decoder = ::zstd::stream::read::Decoder::with_buffer(input)?;
        decoder.window_log_max(WINDOW)?;
        super::read_up_to(decoder, out, limit)
    }

    pub(super) fn write(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut encoder = ::zstd::stream::write::Encoder::new(out, LEVEL)?;
        encoder.write_all(input)?;
        encoder.finish().map(drop)
    }
}

/// In the place of a codec whose feature is off.
macro_rules! off {
    ($($codec:ident, $feature:literal;)*) => {$(
        #[cfg(not(feature = $feature))]
        mod $codec {
            use std::io;

            pub(super) fn read(_: &[u8], _: &mut Vec<u8>, _: usize) -> io::Result<()> {
                Err(io::ErrorKind::Unsupported.into())
            }

            pub(super) fn write(_: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    )*};
}

off! {
    gzip, "gzip";
    snappy, "snappy";
    lz4, "lz4";
    zstd, "zstd";
}
