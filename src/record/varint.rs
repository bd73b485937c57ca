//! Numbers in as few bytes as they need: seven bits a byte, low bits first, the top bit says that more follow.
//! Signed ones are zigzag encoded first (0, -1, 1, -2, ...), so that small negative ones stay short.
//!
//! A number may come in more bytes than it needs, as far as its type's longest: some writers keep room for a
//! length that they know only later, and Kafka reads what they wrote. Bits beyond the type are refused.

/// The longest varint, in bytes.
const MAX_VARINT: u32 = 5;
/// The longest varlong, in bytes.
const MAX_VARLONG: u32 = 10;

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// How many bytes `value` takes.
#[inline]
pub(super) const fn size_of_varlong(value: i64) -> usize {
    match zigzag(value) {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        more => (64 - more.leading_zeros()).div_ceil(7) as usize,
    }
}

/// How many bytes `value` takes. The zigzag of a sign-extended number is that of the number.
#[inline]
pub(super) const fn size_of_varint(value: i32) -> usize {
    size_of_varlong(value as i64)
}

#[inline]
pub(super) fn write_varlong(out: &mut Vec<u8>, value: i64) {
    write_bits(out, zigzag(value));
}

#[inline]
pub(super) fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_bits(out, zigzag(i64::from(value)));
}

/// Writes a number that is never negative, as the flexible versions of Kafka's messages have it: without zigzag.
pub(crate) fn write_uvarint(out: &mut Vec<u8>, value: u32) {
    write_bits(out, u64::from(value));
}

#[inline]
fn write_bits(out: &mut Vec<u8>, bits: u64) {
    if bits < 0x80 {
        out.push(bits as u8);
    } else {
        write_many(out, bits);
    }
}

fn write_many(out: &mut Vec<u8>, mut bits: u64) {
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

#[inline]
pub(super) fn read_varint(bytes: &mut &[u8]) -> Option<i32> {
    let bits = read_bits::<MAX_VARINT>(bytes)?;
    // The zigzag of every i32 fits 32 bits, and what fits 32 bits is the zigzag of an i32.
    u32::try_from(bits).ok().map(|bits| unzigzag(u64::from(bits)) as i32)
}

#[inline]
pub(super) fn read_varlong(bytes: &mut &[u8]) -> Option<i64> {
    read_bits::<MAX_VARLONG>(bytes).map(unzigzag)
}

/// Reads what [`write_uvarint`] writes.
pub(crate) fn read_uvarint(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(read_bits::<MAX_VARINT>(bytes)?).ok()
}

/// Nearly all numbers of a record take one byte or two.
#[inline]
fn read_bits<const MAX: u32>(bytes: &mut &[u8]) -> Option<u64> {
    match **bytes {
        [one, ref rest @ ..] if one < 0x80 => {
            *bytes = rest;
            Some(u64::from(one))
        }
        [low, high, ref rest @ ..] if high < 0x80 => {
            *bytes = rest;
            Some(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => read_many::<MAX>(bytes),
    }
}

#[cold]
fn read_many<const MAX: u32>(bytes: &mut &[u8]) -> Option<u64> {
    let mut bits = 0u64;
    for place in 0..MAX {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let low = u64::from(byte & 0x7f);
        let shifted = low << (7 * place);
        if shifted >> (7 * place) != low {
            return None;
        }
        bits |= shifted;
        if *byte < 0x80 {
            return Some(bits);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        write_varlong(&mut out, value);
        out
    }

    #[test]
    fn small_numbers_take_one_byte_and_extremes_the_most() {
        assert_eq!(written(0), [0]);
        assert_eq!(written(-1), [1]);
        assert_eq!(written(1), [2]);
        assert_eq!(written(63), [126]);
        assert_eq!(written(-64), [127]);
        assert_eq!(written(64), [0x80, 1]);
        assert_eq!(written(-65), [0x81, 1]);
        assert_eq!(written(i64::from(i32::MAX)), [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(written(i64::from(i32::MIN)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(written(i64::MIN), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        let mut out = Vec::new();
        write_uvarint(&mut out, 300);
        assert_eq!(out, [0xac, 2]);
        assert_eq!(read_uvarint(&mut &out[..]), Some(300));
    }

    #[test]
    fn numbers_with_too_many_bytes_or_bits_or_no_end_are_refused() {
        for bad in [
            &[][..],
            &[0x80],
            &[0x80; 4],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0],
            &[0xff, 0xff, 0xff, 0xff, 0x10],
        ] {
            assert_eq!(read_varint(&mut &*bad), None, "{bad:x?}");
            assert_eq!(read_uvarint(&mut &*bad), None, "{bad:x?}");
        }
        let mut eleven = [0x80; 11];
        eleven[10] = 0;
        for bad in [&[0xff; 9][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &eleven] {
            assert_eq!(read_varlong(&mut &*bad), None, "{bad:x?}");
        }
    }

    #[test]
    fn zeros_at_the_top_are_read_as_kafka_reads_them() {
        let mut bytes = &[0x82, 0x80, 0x80, 0x80, 0x00, 9][..];
        assert_eq!(read_varint(&mut bytes), Some(1));
        assert_eq!(bytes, [9]);
    }

    proptest! {
        #[test]
        fn every_number_reads_back(value: i64, shift in 0..64u32) {
            let value = value >> shift;
            let mut out = written(value);
            prop_assert_eq!(out.len(), size_of_varlong(value));
            out.push(7);
            let mut rest = &out[..];
            prop_assert_eq!(read_varlong(&mut rest), Some(value));
            prop_assert_eq!(rest, [7]);
            let small = i32::try_from(value).ok();
            prop_assert_eq!(read_varint(&mut &out[..]), small);
            if let Some(small) = small {
                let mut out = Vec::new();
                write_varint(&mut out, small);
                prop_assert_eq!(out.len(), size_of_varint(small));
                prop_assert_eq!(read_varint(&mut &out[..]), Some(small));
            }
        }
    }
}
