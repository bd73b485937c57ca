//! What the fuzzers begin with. The properties that they look for breaks of are brooklet's own: see `src/fuzz`.

use brooklet::fuzz::Target;
use std::{fs, path::Path};

/// Writes a target's seeds into the directory that `BROOKLET_FUZZ_SEEDS` names, if it does, before the fuzzer reads it:
/// those of brooklet's own encoder, and those that are made of files that Kafka wrote, in `BROOKLET_FUZZ_KAFKA`.
pub fn begin(target: &Target) {
    let Some(dir) = std::env::var_os("BROOKLET_FUZZ_SEEDS") else { return };
    let mut seeds = (target.seeds)();
    if let Some(kafka) = std::env::var_os("BROOKLET_FUZZ_KAFKA") {
        collect(target, Path::new(&kafka), &mut seeds);
    }
    for (n, seed) in seeds.iter().enumerate() {
        fs::write(Path::new(&dir).join(format!("seed-{n:04}")), seed).expect("a directory for the seeds");
    }
}

fn collect(target: &Target, dir: &Path, seeds: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("a directory that Kafka wrote") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            collect(target, &path, seeds);
        } else if let (Some(name), Ok(bytes)) = (path.to_str(), fs::read(&path)) {
            seeds.extend((target.seeds_of)(name, &bytes));
        }
    }
}
