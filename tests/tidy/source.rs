//! A source file, its tokens, and what can be told from them without a parser.

use super::lexer::{self, Kind, Token};
use std::ops::Range;

pub(crate) struct Source {
    /// From the root of the crate, with `/`.
    pub(crate) path: String,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<Token>,
    /// For each opening bracket the place of its closing one, and the other way round; for all else its own place.
    partner: Vec<usize>,
}

/// A path in the code, such as `std::sync::Arc`; of a tree in a `use` there is one for each of its leaves.
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// The place of its last token.
    pub(crate) at: usize,
}

impl CodePath {
    pub(crate) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }

    pub(crate) fn starts_with(&self, start: &[&str]) -> bool {
        self.segments.len() >= start.len() && self.segments.iter().zip(start).all(|(a, b)| a == b)
    }

    pub(crate) fn ends_with(&self, end: &[&str]) -> bool {
        self.segments.len() >= end.len()
            && self.segments.iter().rev().zip(end.iter().rev()).all(|(a, b)| a == b)
    }
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let tokens = lexer::tokens(text);
        let partner = partners(&tokens);
        Self { path: path.to_owned(), lines: text.lines().count(), tokens, partner }
    }

    pub(crate) fn is_library(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// The module that the file is, from the crate's root down: nothing for `lib.rs`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<_> = path.split('/').collect();
        if matches!(module.last(), Some(&"mod" | &"lib")) {
            module.pop();
        }
        module
    }

    pub(crate) fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.text == text)
    }

    pub(crate) fn is_ident(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Ident)
    }

    pub(crate) fn partner(&self, at: usize) -> usize {
        self.partner[at]
    }

    /// Whether the tokens from `at` on are these.
    pub(crate) fn are(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(i, text)| self.is(at + i, text))
    }

    pub(crate) fn paths(&self) -> Vec<CodePath> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            at = if self.starts_path(at) { self.tree(at, &[], &mut paths) } else { at + 1 };
        }
        paths
    }

    fn starts_path(&self, at: usize) -> bool {
        let goes_on = at >= 2 && self.is(at - 1, "::") && (self.is_ident(at - 2) || self.is(at - 2, ">"));
        self.is_ident(at) && self.is(at + 1, "::") && !goes_on
    }

    /// Adds the paths of the tree at `at`, and gives the place behind it.
    fn tree(&self, at: usize, above: &[String], paths: &mut Vec<CodePath>) -> usize {
        if self.is(at, "{") {
            let end = self.partner(at);
            let mut at = at + 1;
            while at < end {
                at = self.tree(at, above, paths);
                while at < end && !self.is(at, ",") {
                    at += 1;
                }
                at += 1;
            }
            return end + 1;
        }
        let Some(token) = self.tokens.get(at) else { return at + 1 };
        let segments: Vec<_> = above.iter().cloned().chain([token.text.clone()]).collect();
        let goes_on = self.is_ident(at + 2) || self.is(at + 2, "{") || self.is(at + 2, "*");
        if self.is(at + 1, "::") && goes_on {
            return self.tree(at + 2, &segments, paths);
        }
        paths.push(CodePath { segments, line: token.line, at });
        at + 1
    }

    /// The places of the keyword `mod`.
    fn mods(&self) -> impl Iterator<Item = usize> {
        (0..self.tokens.len()).filter(|at| self.is(*at, "mod") && self.is_ident(at + 1))
    }

    /// How many modules are opened around a place in the file itself.
    pub(crate) fn inline_depth(&self, at: usize) -> usize {
        self.mods().filter(|m| self.is(m + 2, "{") && (m + 2..self.partner(m + 2)).contains(&at)).count()
    }

    /// The places that lie in a `#[cfg(test)] mod name { .. }`.
    pub(crate) fn test_modules(&self) -> Vec<Range<usize>> {
        let tests = self.mods().filter(|m| self.is(m + 2, "{") && self.has_cfg_test(*m));
        tests.map(|m| m..self.partner(m + 2)).collect()
    }

    /// What the paths start with of files that are there for `#[cfg(test)] mod name;` only.
    pub(crate) fn test_files(&self) -> Vec<String> {
        let dir = match self.path.rsplit_once('/') {
            Some((dir, "lib.rs" | "mod.rs")) => dir,
            _ => self.path.trim_end_matches(".rs"),
        };
        let tests = self.mods().filter(|m| self.is(m + 2, ";") && self.has_cfg_test(*m));
        tests
            .flat_map(|m| ["/", ".rs"].map(|end| format!("{dir}/{}{end}", self.tokens[m + 1].text)))
            .collect()
    }

    /// Whether one of the attributes before the item at `item` is `#[cfg(test)]`.
    fn has_cfg_test(&self, item: usize) -> bool {
        let mut at = item;
        while at > 0 && self.is(at - 1, "]") {
            let open = self.partner(at - 1);
            if self.are(open, &["[", "cfg", "(", "test", ")", "]"]) {
                return true;
            }
            at = open.saturating_sub(1);
        }
        false
    }

    /// From the keyword `fn` to the closing brace, for each function that has a body.
    pub(crate) fn functions(&self) -> Vec<Range<usize>> {
        let starts = (0..self.tokens.len()).filter(|at| self.is(*at, "fn") && !self.is(at + 1, "("));
        starts.filter_map(|start| self.body(start).map(|open| start..self.partner(open))).collect()
    }

    /// The brace that opens the body of the function at `start`. Brackets are skipped as a whole (`[u8; 4]`), and
    /// so is a constant in angle brackets (`Buffer<{ N }>`).
    fn body(&self, start: usize) -> Option<usize> {
        let mut at = start + 1;
        while !self.is(at, ";") {
            let token = self.tokens.get(at)?;
            match token.text.as_str() {
                "{" if !self.is(at - 1, "<") => return Some(at),
                "(" | "[" | "{" => at = self.partner(at),
                _ => {}
            }
            at += 1;
        }
        None
    }
}

fn partners(tokens: &[Token]) -> Vec<usize> {
    let mut partner: Vec<_> = (0..tokens.len()).collect();
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Punct) {
        match token.text.as_str() {
            "(" | "[" | "{" => open.push(at),
            ")" | "]" | "}" => {
                if let Some(start) = open.pop() {
                    partner[start] = at;
                    partner[at] = start;
                }
            }
            _ => {}
        }
    }
    partner
}

#[test]
fn a_use_tree_has_a_path_for_each_leaf() {
    let text = "use a::{b, c::{self, D as E}, f::*}; fn g() { ::h::i::<j::K>(l::m!(n)) } pub(in o::p) q: R";
    let paths: Vec<_> =
        Source::new("src/x.rs", text).paths().iter().map(|path| path.segments.join("::")).collect();
    assert_eq!(paths, ["a::b", "a::c::self", "a::c::D", "a::f::*", "h::i", "j::K", "l::m", "o::p"]);
}

#[test]
fn test_modules_and_test_files_are_known() {
    let text = "#[cfg(test)]\n#[allow(x)]\nmod tests { a } mod b { c } #[cfg(test)] mod d; mod e;";
    let source = Source::new("src/log/mod.rs", text);
    let in_tests = source
        .tokens
        .iter()
        .enumerate()
        .filter(|(at, _)| source.test_modules().iter().any(|t| t.contains(at)));
    assert_eq!(
        in_tests.map(|(_, token)| token.text.as_str()).collect::<Vec<_>>(),
        ["mod", "tests", "{", "a"]
    );
    assert_eq!(source.test_files(), ["src/log/d/", "src/log/d.rs"]);
    assert_eq!(Source::new("src/sync.rs", text).test_files(), ["src/sync/d/", "src/sync/d.rs"]);
}
