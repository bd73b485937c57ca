//! Runs in turns, medians, and the table.

use crate::{svg, table::Row};
use std::{path::PathBuf, process::Command, time::Instant};

/// The rows so far, and how they are to be measured.
pub struct Bench {
    quick: bool,
    filters: Vec<String>,
    /// Where to draw the rows.
    svg: Option<PathBuf>,
    /// Where to read them, instead of measuring.
    table: Option<PathBuf>,
    /// Each with the number of its runs.
    rows: Vec<(Row, usize)>,
    begun: Instant,
}

/// How a figure is shown, and which way it is better.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Records in a second; more is better.
    PerSecond,
    /// Seconds that something took; less is better.
    Seconds,
    /// Bytes that something takes; less is better.
    Bytes,
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Self::PerSecond if figure < 1e6 => format!("{:.1} k/s", figure / 1e3),
            Self::PerSecond => format!("{:.2} M/s", figure / 1e6),
            Self::Bytes => format!("{:.1} MiB", figure / f64::from(1 << 20)),
            Self::Seconds if figure < 1e-6 => format!("{:.0} ns", figure * 1e9),
            Self::Seconds if figure < 1e-3 => format!("{:.2} us", figure * 1e6),
            Self::Seconds => format!("{:.2} ms", figure * 1e3),
        }
    }

    /// How much of the raw speed is reached; more than 1 is faster than raw.
    fn ratio(self, raw: f64, brooklet: f64) -> f64 {
        match self {
            Self::PerSecond => brooklet / raw,
            Self::Seconds | Self::Bytes => raw / brooklet,
        }
    }
}

impl Bench {
    pub fn new(arguments: &[String]) -> Self {
        let (quick, filters, begun) = (false, Vec::new(), Instant::now());
        let mut bench = Self { quick, filters, svg: None, table: None, rows: Vec::new(), begun };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut file = || Some(words.next().expect("a file's name").into());
            match word.as_str() {
                "--quick" => bench.quick = true,
                "--svg" => bench.svg = file(),
                "--table" => bench.table = file(),
                // Cargo has one of its own.
                flag if flag.starts_with("--") => {}
                filter => bench.filters.push(filter.to_owned()),
            }
        }
        bench
    }

    /// Takes the rows from a page, if it was told to.
    pub fn read_table(&mut self) -> bool {
        let page = self.table.as_ref().map(|path| std::fs::read_to_string(path).expect("a page"));
        let rows = page.iter().flat_map(|page| Row::read(page));
        self.rows = rows.filter(|row| self.wants(&row.name)).map(|row| (row, 0)).collect();
        page.is_some()
    }

    /// Draws the rows, if it was told where to.
    pub fn draw(&self) {
        if let Some(path) = &self.svg {
            let rows: Vec<Row> = self.rows.iter().map(|(row, _)| row.clone()).collect();
            std::fs::write(path, svg::draw(&rows)).expect("a picture");
        }
    }

    /// Whether one of the rows of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// `full`, or a tenth of it on a quick run.
    pub fn scaled(&self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }

    /// How often to measure each side.
    pub fn runs(&self, full: usize) -> usize {
        if self.quick { full.min(3) } else { full }
    }

    /// Measures both sides in turns, `runs` times each.
    pub fn compare(
        &mut self,
        name: &str,
        (unit, wanted, runs): (Unit, &'static str, usize),
        mut raw: impl FnMut() -> f64,
        mut brooklet: impl FnMut() -> f64,
    ) {
        if !self.wants(name) {
            return;
        }
        let pairs: Vec<_> = (0..self.runs(runs)).map(|_| (raw(), brooklet())).collect();
        self.row(name, unit, wanted, &pairs);
    }

    /// Notes a row of which both sides were measured: pairs of raw and brooklet.
    pub fn row(&mut self, name: &str, unit: Unit, wanted: &'static str, pairs: &[(f64, f64)]) {
        let raw = median(pairs.iter().map(|pair| pair.0));
        let brooklet = median(pairs.iter().map(|pair| pair.1));
        let ratio = median(pairs.iter().map(|(raw, brooklet)| unit.ratio(*raw, *brooklet)));
        let (raw, brooklet, ratio) = (unit.show(raw), unit.show(brooklet), format!("{:.0} %", ratio * 100.0));
        eprintln!("{:>6.1} s  {name:<44} {raw}  {brooklet}  {ratio}", self.begun.elapsed().as_secs_f64());
        let (name, wanted) = (name.to_owned(), wanted.to_owned());
        self.rows.push((Row { name, raw, brooklet, ratio, wanted }, pairs.len()));
    }

    /// Prints the table, for a Markdown page.
    pub fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let quick = if self.quick { ", quick" } else { "" };
        println!(
            "\ncommit {}, {cores} cores, {:.0} s{quick}\n",
            commit(),
            self.begun.elapsed().as_secs_f64()
        );
        println!("| | raw | brooklet | of raw | wanted | runs |\n|---|---|---|---|---|---|");
        for (Row { name, raw, brooklet, ratio, wanted }, runs) in &self.rows {
            println!("| {name} | {raw} | {brooklet} | {ratio} | {wanted} | {runs} |");
        }
    }
}

/// The middle one, or the upper of the two in the middle.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What `share` of the figures do not exceed.
pub fn percentile(figures: &mut [u64], share: f64) -> f64 {
    figures.sort_unstable();
    let at = (figures.len() as f64 * share) as usize;
    figures[at.min(figures.len() - 1)] as f64 * 1e-9
}

/// How many a second.
pub fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    format!("{commit}{}", if changed { " and changes" } else { "" })
}
