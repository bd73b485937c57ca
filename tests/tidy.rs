//! The house rules that a machine can keep, checked over the text of every source file: who may import whom, what
//! only one place may use, and how long a function or a file may be.
//!
//! It reads tokens, not types, so it needs no dependency and works on code that does not compile. Clippy's
//! disallowed methods and types (`.clippy.toml`) look at the same ground with types, but see neither layers nor
//! what an `allow` hides.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/source.rs"]
mod source;

use source::Source;
use std::{fmt, fs, path::Path};

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Complaint {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

fn check(sources: &[Source]) -> Vec<Complaint> {
    let exports = layers::Exports::of(sources);
    let test_files: Vec<String> = sources.iter().flat_map(Source::test_files).collect();
    let mut complaints = Vec::new();
    for source in sources {
        let only_tests = test_files.iter().any(|prefix| source.path.starts_with(prefix));
        complaints.extend(layers::check(source, &exports));
        complaints.extend(bans::check(source, only_tests));
        complaints.extend(lengths::check(source));
    }
    complaints.sort();
    complaints
}

/// Adds every `.rs` file below `dir`; paths are told from the root of the crate, with `/`.
fn walk(dir: &Path, name: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect(name).map(|entry| entry.expect(name).path()).collect();
    entries.sort();
    for path in entries {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = format!("{name}/{file}");
        if path.is_dir() {
            walk(&path, &name, sources);
        } else if name.ends_with(".rs") {
            sources.push(Source::new(&name, &fs::read_to_string(&path).expect(&name)));
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for dir in ["src", "tests", "examples", "benches"] {
        if root.join(dir).is_dir() {
            walk(&root.join(dir), dir, &mut sources);
        }
    }
    for must in ["src/lib.rs", "src/sync.rs", "tests/tidy.rs"] {
        assert!(sources.iter().any(|source| source.path == must), "{must} was not looked at");
    }
    let complaints: Vec<_> = check(&sources).iter().map(Complaint::to_string).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// What the rules say of a crate that has nothing but these files: `line: rule`, for the tests of the rules.
fn complaints_about(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    check(&sources).iter().map(|complaint| format!("{}: {}", complaint.line, complaint.rule)).collect()
}

#[test]
fn a_complaint_names_file_line_and_rule() {
    let source = Source::new("src/log/mod.rs", "\nuse crate::node::Node;\n");
    let told = check(&[source])[0].to_string();
    assert!(told.starts_with("src/log/mod.rs:2: layers: "), "{told}");
}
