//! What it is asked for.

use crate::workload::Faults;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "simulate [--seeds N] [--from S] [--trace] [--out DIR] [--html FILE]
         [--faults N,N,... | none]
         [--shrink S]";

pub(crate) struct Arguments {
    pub(crate) seeds: u64,
    pub(crate) from: u64,
    /// Of each seed.
    pub(crate) faults: Faults,
    pub(crate) trace: bool,
    /// Where to put what tells of a seed that fails.
    pub(crate) out: PathBuf,
    /// Where to put the page of the last seed, if it does not fail.
    pub(crate) html: Option<PathBuf>,
    pub(crate) shrink: Option<u64>,
}

impl Arguments {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut found = Self {
            seeds: 100,
            from: 0,
            faults: Faults::All,
            trace: false,
            out: PathBuf::from("."),
            html: None,
            shrink: None,
        };
        let mut rest = arguments;
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--seeds" => found.seeds = number(&value()?)?,
                "--from" => found.from = number(&value()?)?,
                "--faults" => found.faults = faults(&value()?)?,
                "--trace" => found.trace = true,
                "--out" => found.out = value()?.into(),
                "--html" => found.html = Some(value()?.into()),
                "--shrink" => found.shrink = Some(number(&value()?)?),
                other => return Err(format!("{other}?\n{USAGE}")),
            }
        }
        Ok(found)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// `none`, or numbers.
fn faults(text: &str) -> Result<Faults, String> {
    let numbers = text.split(',').filter(|_| text != "none").map(number);
    Ok(Faults::Only(numbers.collect::<Result<_, _>>()?))
}
