//! The table: its rows, as they are printed and read back.

/// A row of the table. All of it is text, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub raw: String,
    pub brooklet: String,
    /// Brooklet's figure in parts of raw's: more is better.
    pub ratio: String,
    /// What is wanted: a ratio, or a figure of brooklet's; or nothing.
    pub wanted: String,
}

impl Row {
    /// The rows of the first table of a Markdown page that has such rows.
    pub fn read(page: &str) -> Vec<Self> {
        page.lines().filter_map(Self::parse).collect()
    }

    /// `| name | raw | brooklet | 57 % | wanted |`, and whatever comes then.
    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().to_owned());
        let mut next = || cells.next();
        let row = Self { name: next()?, raw: next()?, brooklet: next()?, ratio: next()?, wanted: next()? };
        row.percent().map(|_| row)
    }

    /// What the ratio is.
    pub fn percent(&self) -> Option<f64> {
        percent(&self.ratio)
    }

    /// The ratio at which what is wanted is reached.
    pub fn wanted_percent(&self) -> Option<f64> {
        let (sign, wanted) = self.wanted.split_once(' ')?;
        let wanted_of_raw = || Some(figure(wanted)? / figure(&self.raw)?);
        Some(match (sign, wanted.split_once(' ')?) {
            (">=", (share, "%")) => share.parse().ok()?,
            ("<=", (times, "x")) => 100.0 / times.parse::<f64>().ok()?,
            (">=", _) => wanted_of_raw()? * 100.0,
            ("<=", _) => 100.0 / wanted_of_raw()?,
            _ => return None,
        })
    }
}

fn percent(text: &str) -> Option<f64> {
    text.strip_suffix(" %")?.parse().ok()
}

/// In seconds, MiB, or records a second.
fn figure(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let unit = match unit {
        "s" | "MiB" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "ns" => 1e-9,
        "k/s" => 1e3,
        "M/s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}
