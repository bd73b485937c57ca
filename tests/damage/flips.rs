//! Flipped bits, drawn by seeds: the log's own tests flip every bit of a log, below the broker.

use crate::store::{Image, Outcome, check};

/// Numbers that look random, the same for a seed.
fn draw(seed: u64, n: u64, below: usize) -> usize {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 29)) % below as u64) as usize
}

/// Flips one bit in one of these files for each seed, and gives how often that was refused.
fn flip(image: &Image, names: &[String], count: u64, test: &str) -> (u64, u64) {
    let (mut refused, mut all) = (0, 0);
    for seed in brooklet::seeds(count) {
        let name = &names[draw(seed, 1, names.len())];
        let mut bytes = image.files[name].clone();
        let bit = draw(seed, 2, bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let replay = format!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test damage {test}");
        let what = format!("bit {} of byte {} of {name} ({replay})", bit % 8, bit / 8);
        let outcome = check(&image.with(name, bytes), seed % 2 == 0, &what);
        refused += u64::from(outcome == Outcome::Refused);
        all += 1;
    }
    println!("{refused} of {all} refused");
    (refused, all)
}

#[test]
fn an_undamaged_store_is_whole() {
    for maps in [true, false] {
        assert_eq!(check(&Image::new(), maps, "nothing is wrong"), Outcome::Whole);
    }
}

#[test]
fn a_flipped_bit_of_a_log_is_refused() {
    let image = Image::new();
    let (refused, all) = flip(&image, &image.logs(), 150, "a_flipped_bit_of_a_log");
    assert_eq!(refused, all);
}

#[test]
fn a_flipped_bit_of_an_index_is_healed() {
    let image = Image::new();
    let names = image.names(|name| name.starts_with("t-0/") && name.ends_with("index"));
    let names: Vec<String> = names.into_iter().filter(|name| !image.files[name].is_empty()).collect();
    let (refused, _) = flip(&image, &names, 60, "a_flipped_bit_of_an_index");
    assert_eq!(refused, 0);
}

#[test]
fn a_flipped_bit_of_any_other_file_is_refused_or_healed() {
    let image = Image::new();
    let names =
        image.names(|name| !name.contains('/') || name.ends_with("checkpoint") || name.ends_with("metadata"));
    let names: Vec<String> = names.into_iter().filter(|name| !image.files[name].is_empty()).collect();
    assert!(names.len() > 5, "{names:?}");
    flip(&image, &names, 150, "a_flipped_bit_of_any_other_file");
}

#[test]
fn a_flipped_bit_of_a_commit_is_refused() {
    let image = Image::new();
    let names = image.names(|name| name.starts_with("__consumer_offsets") && name.ends_with(".log"));
    let (refused, all) = flip(&image, &names, 60, "a_flipped_bit_of_a_commit");
    assert_eq!(refused, all);
}
