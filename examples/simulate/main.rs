//! Random faults in simulated clusters, seed after seed: each is a virtual minute or more of producers and consumers while brokers are
//! killed, lose power and are cut off from each other. All invariants are checked after every event.
//!
//!     cargo run --release --example simulate -- [--seeds N] [--from S] [--trace]
//!
//! It shows how far it is, and stops with what it has at Ctrl-C. A seed that fails ends it, with the command that replays it.
//! `--trace` tells the story of each seed.

#![allow(clippy::disallowed_methods, reason = "how long a run takes is told by the wall clock")]
#![allow(clippy::indexing_slicing, clippy::expect_used)]

mod workload;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use workload::Report;

const USAGE: &str = "simulate [--seeds N] [--from S] [--trace]";

struct Arguments {
    seeds: u64,
    from: u64,
    trace: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { seeds: 100, from: 0, trace: false };
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut number = || -> Result<u64, String> {
            let text = rest.next().ok_or(format!("{argument} needs a number"))?;
            text.parse().map_err(|error| format!("{argument} {text}: {error}"))
        };
        match argument.as_str() {
            "--seeds" => found.seeds = number()?,
            "--from" => found.from = number()?,
            "--trace" => found.trace = true,
            other => return Err(format!("{other}?\n{USAGE}")),
        }
    }
    Ok(found)
}

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
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = ctrlc::set_handler(|| STOPPED.store(true, Ordering::Relaxed)) {
        eprintln!("Ctrl-C will not stop it in order: {error}");
    }
    let mut progress = Progress { begun: Instant::now(), shown: None, done: 0, all: Report::default() };
    for seed in arguments.from..arguments.from.saturating_add(arguments.seeds) {
        if STOPPED.load(Ordering::Relaxed) {
            break;
        }
        let Ok((report, story)) = std::panic::catch_unwind(|| workload::run(seed)) else {
            eprintln!("\n{} seeds before it were fine; this one fails again with:", progress.done);
            eprintln!("cargo run --release --example simulate -- --seeds 1 --from {seed}");
            return ExitCode::FAILURE;
        };
        if arguments.trace {
            println!("seed {seed}:\n{story}");
        }
        progress.done += 1;
        progress.all.add(&report);
        progress.show(arguments.seeds);
    }
    tell(&progress, &arguments);
    ExitCode::SUCCESS
}

fn tell(progress: &Progress, arguments: &Arguments) {
    if progress.shown.is_some() {
        eprintln!();
    }
    println!("{}", progress.line(arguments.seeds));
    let Report { in_doubt, refused, polled, virtual_time, marks, .. } = &progress.all;
    let hours = virtual_time.as_secs_f64() / 3600.0;
    println!("{in_doubt} records in doubt, {refused} refused, {polled} read, {hours:.1} virtual hours");
    let marks: Vec<String> = marks.iter().map(|(mark, count)| format!("{mark:?} {count}")).collect();
    println!("come upon: {}", marks.join(", "));
}
