//! What brooklet costs, beside what the bare machine costs in the same run: `cargo bench`, or some rows of it with
//! `cargo bench -- append read`, or all of it in a few seconds with `cargo bench -- --quick`. `--svg FILE` draws the rows as
//! well; with `--table PAGE` nothing is measured, and the rows are those of a table in a Markdown page.
//!
//! The other side of a row is a raw loop (see `raw`) or a bare primitive. Both run in turns, raw first; the table has
//! the median of each, and of the ratios of neighbouring runs, which a noisy machine leaves alone more than the rest.
//! Everything goes through the public API. Files are made where the system keeps temporary ones, or below
//! `BROOKLET_BENCH_DIR`.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::indexing_slicing, missing_docs, unreachable_pub)]

#[cfg(target_os = "linux")]
mod append;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod drawing;
#[cfg(target_os = "linux")]
mod durable;
#[cfg(target_os = "linux")]
mod group_commit;
#[cfg(target_os = "linux")]
mod groups;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod open;
#[cfg(target_os = "linux")]
mod raw;
#[cfg(target_os = "linux")]
mod read;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod store;
#[cfg(target_os = "linux")]
mod svg;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod threads;
#[cfg(target_os = "linux")]
mod wake;

/// What the crate's own file of maps, which `raw` takes over, has its atomics from.
#[cfg(target_os = "linux")]
mod sync {
    pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
}

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, mode, dir, bytes] = arguments.as_slice()
        && role == start::CHILD
    {
        return start::child(mode, std::path::Path::new(dir), bytes.parse().unwrap());
    }
    let mut bench = harness::Bench::new(&arguments);
    if !bench.read_table() {
        append::run(&mut bench);
        read::run(&mut bench);
        threads::run(&mut bench);
        wake::run(&mut bench);
        groups::run(&mut bench);
        cluster::run(&mut bench);
        durable::run(&mut bench);
        group_commit::run(&mut bench);
        start::run(&mut bench);
        open::run(&mut bench);
        bench.print();
    }
    bench.draw();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the raw loops are written for Linux, where brooklet is measured");
}
