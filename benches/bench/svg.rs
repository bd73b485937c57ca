//! The table as a picture: a bar for each row, as long as its ratio.

use crate::{
    drawing::{page, text, upright},
    table::Row,
};

/// Where names end, bars begin and end, and the columns behind them end.
const NAMES: f64 = 330.0;
const BARS: (f64, f64) = (342.0, 662.0);
const COLUMNS: [f64; 3] = [736.0, 822.0, 904.0];
const WIDTH: f64 = 920.0;
const TOP: f64 = 74.0;
const ROW: f64 = 21.0;
/// Between rows of different kinds.
const GAP: f64 = 9.0;
/// The ratio at the end of the scale.
const MOST: f64 = 200.0;

const TITLE: &str = "What brooklet reaches of a raw loop";
const LEGEND: &str = "longer is better; the upright mark is what is wanted, orange is short of it";
const DESCRIPTION: &str = "A horizontal bar for each row of the table: brooklet's figure in percent of that of a raw loop \
of the same run. More is better; 100 % is the raw loop. A short upright line marks what is wanted; bars that do not reach it \
are orange.";

/// A self-contained SVG.
pub fn draw(rows: &[Row]) -> String {
    let mut bars = String::new();
    let (mut y, mut kind) = (TOP, "");
    for row in rows {
        let of = row.name.split(',').next().unwrap_or_default().split(' ').next().unwrap_or_default();
        if kind != of && !kind.is_empty() {
            y += GAP;
        }
        kind = of;
        bars.push_str(&bar(row, y));
        y += ROW;
    }
    let height = y + 14.0;
    let body = [heading(), scale(y), bars].concat();
    page((TITLE, DESCRIPTION), "", (WIDTH, height), &body)
}

fn heading() -> String {
    let columns = COLUMNS.iter().zip(["of raw", "brooklet", "wanted"]);
    let columns = columns.map(|(x, name)| text(*x, TOP - 12.0, "faint end", name)).collect::<String>();
    text(16.0, 28.0, "head", TITLE) + &text(COLUMNS[2], 28.0, "faint end", LEGEND) + &columns
}

/// The upright lines, and what they stand for.
fn scale(end: f64) -> String {
    let ticks = (0..=4).map(|n| f64::from(n) * MOST / 4.0);
    let tick = |percent: f64| {
        let (x, raw) = (x_of(percent), percent == 100.0);
        let (class, name) = if raw { ("raw", "raw".to_owned()) } else { ("line", format!("{percent:.0} %")) };
        text(x, TOP - 12.0, "faint middle", &name) + &upright(x, (TOP - 6.0, end + 2.0), class)
    };
    ticks.map(tick).collect()
}

fn bar(row: &Row, y: f64) -> String {
    let percent = row.percent().unwrap_or_default();
    let wanted = row.wanted_percent();
    let class = if wanted.is_some_and(|wanted| percent < wanted) { "short" } else { "bar" };
    let (x, end, top, base) = (BARS.0, x_of(percent), y + 4.0, y + 15.0);
    // What is beyond the scale ends in a point.
    let shape = if percent > MOST {
        format!("M{x} {top}H{end}l6 6.5l-6 6.5H{x}z")
    } else {
        format!("M{x} {top}H{end}v13H{x}z")
    };
    let mark = wanted.map(|wanted| upright(x_of(wanted), (y + 1.0, y + 20.0), "mark")).unwrap_or_default();
    let cells = COLUMNS.iter().zip([&row.ratio, &row.brooklet, &row.wanted]);
    let cells = cells.map(|(x, cell)| text(*x, base, "end", &readable(cell))).collect::<String>();
    let name = text(NAMES, base, "end", &readable(&row.name));
    format!("{name}<path class=\"{class}\" d=\"{shape}\"/>\n{mark}{cells}")
}

fn x_of(percent: f64) -> f64 {
    let share = percent.clamp(0.0, MOST) / MOST;
    ((BARS.0 + (BARS.1 - BARS.0) * share) * 10.0).round() / 10.0
}

/// With signs as one would write them by hand; and nothing that XML would take for its own.
fn readable(text: &str) -> String {
    text.replace(">=", "≥")
        .replace("<=", "≤")
        .replace(" us", " µs")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}
