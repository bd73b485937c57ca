//! Random faults in simulated clusters, seed after seed: each is a virtual minute or more of producers and consumers while brokers are
//! killed, lose power and are cut off from each other. All invariants are checked after every event.
//!
//!     cargo run --release --example simulate -- [--seeds N] [--from S] [--trace] [--out DIR] [--html FILE]
//!
//! It shows how far it is, and stops with what it has at Ctrl-C. A seed that fails ends it: with the command that replays it, a page to
//! look at in a browser (`simulate-SEED.html`) and the same as lines of JSON (`simulate-SEED.jsonl`), in the current directory or in DIR.
//! `--trace` tells the story of each seed, `--html` writes the page of the last one that does not fail.
//!
//!     cargo run --release --example simulate -- --shrink SEED
//!
//! runs a seed that fails with fewer and fewer of its faults, as long as it fails in the same way, and tells which it takes: with
//! `--seeds 1 --from SEED --faults 3,17` only those happen. (`--faults none`: none at all.)

#![allow(clippy::disallowed_methods, reason = "how long a run takes is told by the wall clock")]
#![allow(clippy::indexing_slicing, clippy::expect_used)]

mod arguments;
mod failing;
mod workload;

use arguments::Arguments;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use workload::Report;

/// How far it is.
struct Progress {
    begun: Instant,
    shown: Option<Instant>,
    done: u64,
    all: Report,
}

impl Progress {
    fn line(&self, seeds: u64) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        let an_hour = self.done as f64 / seconds.max(1e-9) * 3600.0;
        let Report { acknowledged, faults, .. } = self.all;
        format!(
            "{} of {seeds} seeds, {an_hour:.0} an hour; {acknowledged} records acknowledged, {faults} faults",
            self.done
        )
    }

    /// On a terminal twice a second, in place; else once a minute, a line each.
    fn show(&mut self, seeds: u64) {
        let in_place = std::io::stderr().is_terminal();
        let every = if in_place { Duration::from_millis(500) } else { Duration::from_secs(60) };
        if self.shown.unwrap_or(self.begun).elapsed() < every {
            return;
        }
        self.shown = Some(Instant::now());
        if in_place {
            eprint!("\r\x1b[K{}", self.line(seeds));
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{}", self.line(seeds));
        }
    }
}

static STOPPED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = ctrlc::set_handler(|| STOPPED.store(true, Ordering::Relaxed)) {
        eprintln!("Ctrl-C will not stop it in order: {error}");
    }
    // What a panic says is told where it is caught; here, where it comes from, unless there are many.
    let tells = arguments.shrink.is_none();
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(place) = panic.location().filter(|_| tells) {
            eprintln!("\na panic at {place}");
            let trace = Backtrace::capture();
            if trace.status() == BacktraceStatus::Captured {
                eprintln!("{trace}");
            }
        }
    }));
    arguments.shrink.map_or_else(|| simulate(&arguments), |seed| failing::shrink(seed, &arguments))
}

fn simulate(arguments: &Arguments) -> ExitCode {
    let mut progress = Progress { begun: Instant::now(), shown: None, done: 0, all: Report::default() };
    let mut last = None;
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        if STOPPED.load(Ordering::Relaxed) {
            break;
        }
        match workload::attempt(seed, &arguments.faults) {
            Ok((report, trace)) => {
                if arguments.trace {
                    println!("seed {seed}:\n{trace}");
                }
                progress.done += 1;
                progress.all.add(&report);
                progress.show(arguments.seeds);
                last = Some(trace);
            }
            Err(failure) => {
                eprintln!("\n{} seeds before it were fine", progress.done);
                failing::tell(seed, &failure, &arguments.faults, &arguments.out);
                return ExitCode::FAILURE;
            }
        }
    }
    tell(&progress, arguments);
    if let (Some(trace), Some(path)) = (last, &arguments.html) {
        failing::page(&trace, path);
    }
    ExitCode::SUCCESS
}

fn tell(progress: &Progress, arguments: &Arguments) {
    if progress.shown.is_some() {
        eprintln!();
    }
    println!("{}", progress.line(arguments.seeds));
    let Report { in_doubt, refused, polled, deleted, superseded, virtual_time, marks, .. } = &progress.all;
    let hours = virtual_time.as_secs_f64() / 3600.0;
    println!("{in_doubt} records in doubt, {refused} refused, {polled} read, {hours:.1} virtual hours");
    println!("{deleted} records deleted, {superseded} gone for later ones of their keys");
    let marks: Vec<String> = marks.iter().map(|(mark, count)| format!("{mark:?} {count}")).collect();
    println!("come upon: {}", marks.join(", "));
}
