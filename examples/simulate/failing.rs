//! What is told of a seed that fails: what does not hold, how it came to that, and how to have it again.

use crate::{
    arguments::Arguments,
    workload::{self, Failure, Faults},
};
use brooklet::ClusterTrace;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::Ordering,
};

const COMMAND: &str = "cargo run --release --example simulate --";
/// How many lines of the story are shown.
const LAST: usize = 30;

/// Tells of a failure, and puts its page and its lines of JSON where they are wanted.
pub(crate) fn tell(seed: u64, failure: &Failure, faults: &Faults, out: &Path) {
    let name = if matches!(faults, Faults::All) {
        format!("simulate-{seed}")
    } else {
        format!("simulate-{seed}-less")
    };
    if let Some(trace) = &failure.trace {
        let skipped = trace.lines().len().saturating_sub(LAST);
        eprintln!("\nwhat happened last:");
        trace.lines().iter().skip(skipped).for_each(|line| eprintln!("{line}"));
    }
    eprintln!("\nseed {seed} fails: {}", failure.what());
    if let Some(trace) = &failure.trace {
        eprintln!("what happened, to look at in a browser, and as lines of JSON:");
        write(&out.join(format!("{name}.html")), &trace.to_html());
        write(&out.join(format!("{name}.jsonl")), &trace.to_json_lines());
    }
    eprintln!("it fails again with:\n    {COMMAND} --seeds 1 --from {seed}{}", flag(faults));
}

/// With which only these happen.
fn flag(faults: &Faults) -> String {
    let Faults::Only(numbers) = faults else { return String::new() };
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    format!(" --faults {}", if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") })
}

pub(crate) fn write(path: &Path, text: &str) {
    match std::fs::write(path, text) {
        Ok(()) => {
            eprintln!("    {}", std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)).display())
        }
        Err(error) => eprintln!("    {} cannot be written: {error}", path.display()),
    }
}

/// Shrinks a seed that fails to the faults that it takes.
pub(crate) fn shrink(seed: u64, arguments: &Arguments) -> ExitCode {
    let Err(first) = workload::attempt(seed, &arguments.faults) else {
        eprintln!("seed {seed} does not fail: there is nothing to shrink");
        return ExitCode::FAILURE;
    };
    eprintln!("seed {seed} fails with {}: {}", count(first.faults.len()), first.what());
    let mut tries = 0;
    let last = workload::shrink(seed, first, |some, fails| {
        tries += 1;
        eprintln!("try {tries}, with {}: {}", count(some), if fails { "fails" } else { "does not fail" });
        !super::STOPPED.load(Ordering::Relaxed)
    });
    let left = Faults::Only(last.faults.iter().map(|fault| fault.number).collect());
    tell(seed, &last, &left, &arguments.out);
    println!("{} left after {tries} tries:", count(last.faults.len()));
    last.faults.iter().for_each(|fault| println!("{:>12.6} {fault}", fault.at.as_secs_f64()));
    ExitCode::SUCCESS
}

fn count(faults: usize) -> String {
    format!("{faults} fault{}", if faults == 1 { "" } else { "s" })
}

/// The page of a seed that does not fail.
pub(crate) fn page(trace: &ClusterTrace, path: &Path) {
    write(path, &trace.to_html());
}
