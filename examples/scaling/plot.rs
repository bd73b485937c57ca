//! The table, and the plots of it: four, each on logarithmic scales, with a line for each number of brokers.

use crate::drawing::{page, text, upright};
use std::collections::BTreeMap;

/// Above the rows.
pub(crate) const HEAD: &str = "| brokers | partitions | start, ms | election, virtual s | election, ms | a minute, ms | seeds an hour | memory, MiB |
| --- | --- | --- | --- | --- | --- | --- | --- |";

/// The plots: what they show, and which of the figures.
const PLOTS: [(&str, usize); 4] = [
    ("start with a topic, ms", 0),
    ("election after a kill, ms", 2),
    ("a virtual minute, ms", 3),
    ("memory, MiB", 5),
];
const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 660.0;
/// A plot's place: its own left and top, and its size.
const LEFT: [f64; 2] = [70.0, 516.0];
const TOP: [f64; 2] = [84.0, 386.0];
const SIZE: (f64, f64) = (350.0, 220.0);

const TITLE: &str = "What a cluster costs as it grows";
const DESCRIPTION: &str = "Four plots over the number of partitions, 1 to 1,000, both on logarithmic scales, with a line for each \
number of brokers: milliseconds of a start, of an election, of a virtual minute, and memory. A faint line rises as what is linear \
does.";
const STYLE: &str = "
.linear { stroke: #afb8c1; fill: none; stroke-dasharray: 4 4; }
.b1, .b3, .b9, .b27 { fill: none; stroke-width: 2; }
.b1 { stroke: #8b949e; } .b3 { stroke: #4c8bd6; } .b9 { stroke: #d0762f; } .b27 { stroke: #a05fc0; }
";

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) brokers: u16,
    pub(crate) partitions: u32,
    /// In the order of the columns.
    pub(crate) figures: [f64; 6],
}

impl Row {
    /// The rows of a Markdown page: those of two whole numbers and six figures.
    pub(crate) fn read(page: &str) -> Vec<Self> {
        page.lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut cells =
            line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(|cell| cell.replace(',', ""));
        let (brokers, partitions) = (cells.next()?.trim().parse().ok()?, cells.next()?.trim().parse().ok()?);
        let figures: Option<Vec<f64>> = cells.map(|cell| cell.trim().parse().ok()).collect();
        Some(Self { brokers, partitions, figures: figures?.try_into().ok()? })
    }

    /// The row as [`parse`](Self::parse) reads it.
    pub(crate) fn cells(&self) -> String {
        let Self { brokers, partitions, figures: [start, virtually, election, minute, an_hour, memory] } =
            self;
        let [start, election, minute, memory] =
            [start, election, minute, memory].map(|figure| short(*figure));
        format!(
            "| {brokers} | {partitions} | {start} | {virtually:.1} | {election} | {minute} | {an_hour:.0} | {memory} |\n"
        )
    }
}

/// With two places, or about three digits.
fn short(figure: f64) -> String {
    match figure {
        _ if figure.fract() == 0.0 || figure >= 100.0 => format!("{figure:.0}"),
        _ if figure >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// A self-contained SVG.
pub(crate) fn draw(rows: &[Row]) -> String {
    let head = text(16.0, 28.0, "head", TITLE) + &legend(rows);
    let places = TOP.into_iter().flat_map(|top| LEFT.map(|left| (left, top)));
    let plots: String = places.zip(PLOTS).map(|(at, (name, figure))| plot(rows, at, name, figure)).collect();
    page((TITLE, DESCRIPTION), STYLE, (WIDTH, HEIGHT), &(head + &plots))
}

fn legend(rows: &[Row]) -> String {
    let lines = lines(rows, 0);
    let names = lines.keys().enumerate().map(|(n, brokers)| {
        let (x, name) = (300.0 + 105.0 * n as f64, if *brokers == 1 { "broker" } else { "brokers" });
        format!("<path class=\"b{brokers}\" d=\"M{x} 24h20\"/>\n")
            + &text(x + 26.0, 28.0, "", &format!("{brokers} {name}"))
    });
    let linear = "<path class=\"linear\" d=\"M720 24h20\"/>\n".to_owned();
    names.collect::<String>() + &linear + &text(746.0, 28.0, "faint", "linear in partitions")
}

/// A figure over the partitions, for each number of brokers. What is not there, or 0, has no place on such a scale.
fn lines(rows: &[Row], figure: usize) -> BTreeMap<u16, Vec<(f64, f64)>> {
    let mut lines: BTreeMap<u16, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let y = row.figures.get(figure).copied().unwrap_or_default();
        if y > 0.0 {
            lines.entry(row.brokers).or_default().push((f64::from(row.partitions), y));
        }
    }
    lines
}

/// Where a figure lies between two powers of ten.
fn share(figure: f64, (from, to): (i32, i32)) -> f64 {
    (figure.log10() - f64::from(from)) / f64::from((to - from).max(1))
}

fn plot(rows: &[Row], (left, top): (f64, f64), name: &str, figure: usize) -> String {
    let lines = lines(rows, figure);
    let all = || lines.values().flatten();
    let powers = |of: fn(&(f64, f64)) -> f64| {
        let logs = || all().map(of).map(f64::log10);
        let (least, most) = (logs().fold(f64::MAX, f64::min), logs().fold(f64::MIN, f64::max));
        (least.floor() as i32, most.ceil() as i32)
    };
    let (across, up) = (powers(|point| point.0), powers(|point| point.1));
    let at = |(x, y): (f64, f64)| {
        let place = (left + SIZE.0 * share(x, across), top + SIZE.1 * (1.0 - share(y, up)));
        format!("{:.1} {:.1}", place.0, place.1)
    };
    let path = |class: &str, points: &[(f64, f64)]| {
        let points: Vec<String> = points.iter().map(|point| at(*point)).collect();
        format!("<path class=\"{class}\" d=\"M{}\"/>\n", points.join("L"))
    };
    let mut drawn = text(left, top - 12.0, "head", name);
    for power in across.0..=across.1 {
        let x = left + SIZE.0 * share(10f64.powi(power), across);
        drawn += &upright(x, (top, top + SIZE.1), "line");
        drawn += &text(x, top + SIZE.1 + 16.0, "faint middle", &format!("{}", 10f64.powi(power)));
    }
    for power in up.0..=up.1 {
        let y = top + SIZE.1 * (1.0 - share(10f64.powi(power), up));
        drawn += &format!("<path class=\"line\" d=\"M{left} {y}h{}\"/>\n", SIZE.0);
        drawn += &text(left - 6.0, y + 4.0, "faint end", &format!("{}", 10f64.powi(power)));
    }
    // From the lower left corner as far as there is room.
    let room = f64::from((across.1 - across.0).min(up.1 - up.0));
    let corner = (10f64.powi(across.0), 10f64.powi(up.0));
    drawn += &path("linear", &[corner, (corner.0 * 10f64.powf(room), corner.1 * 10f64.powf(room))]);
    lines.iter().for_each(|(brokers, points)| drawn += &path(&format!("b{brokers}"), points));
    drawn
}
