//! Who may import whom.

use super::{
    Complaint,
    source::{CodePath, Source},
};

/// The library's modules from left to right: each imports only from those to its left. Those that share a place never
/// import each other.
const LAYERS: &[&[&str]] = &[
    &["docs"],
    &["sync"],
    &["bugs"],
    &["types"],
    &["error"],
    &["trace"],
    &["prng"],
    &["env", "record"],
    &["assign"],
    &["config"],
    &["rpc"],
    &["log", "replica", "controller", "group", "txn", "client"],
    &["node"],
    &["broker", "cluster"],
    &["fuzz"],
    &["lib"],
];

/// Who may import from its right nevertheless, what, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("types", "error", "parsing a name fails with an error, and errors carry names and offsets"),
    ("types", "prng", "ids are drawn from a seeded generator"),
];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn may_import(from: &str, to: &str) -> bool {
    from == to || rank(to) < rank(from) || EXCEPTIONS.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

/// The names that `lib.rs` re-exports, each with the module that it comes from.
pub(crate) struct Exports(Vec<(String, String)>);

impl Exports {
    pub(crate) fn of(sources: &[Source]) -> Self {
        let paths = sources.iter().filter(|source| source.path == "src/lib.rs").flat_map(Source::paths);
        let names = paths.filter_map(|path| {
            let start = usize::from(matches!(path.segment(0), "crate" | "self"));
            let is_export = path.segments.len() > start + 1 && rank(path.segment(start)).is_some();
            is_export
                .then(|| (path.segments[path.segments.len() - 1].clone(), path.segment(start).to_owned()))
        });
        Self(names.collect())
    }

    /// The module that `crate::name` is, or comes from.
    fn module_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match rank(name) {
            Some(_) => Some(name),
            None => self.0.iter().find(|(export, _)| export == name).map(|(_, module)| module.as_str()),
        }
    }
}

pub(crate) fn check(source: &Source, exports: &Exports) -> Vec<Complaint> {
    if !source.is_library() {
        return Vec::new();
    }
    let complain = |line, what| Complaint { path: source.path.clone(), line, rule: "layers", what };
    let from = source.module().first().copied().unwrap_or("lib");
    if rank(from).is_none() {
        return vec![complain(1, format!("the module {from} has no place among the layers"))];
    }
    let paths = source.paths();
    let names = paths.iter().filter_map(|path| Some((path, name_at_root(source, path)?)));
    let complaints = names.filter_map(|(path, name)| match exports.module_of(name) {
        Some(to) if may_import(from, to) => None,
        Some(to) => Some(complain(
            path.line,
            format!("{from} may not import from {to} ({})", path.segments.join("::")),
        )),
        None => Some(complain(
            path.line,
            format!("crate::{name} is no module, and lib.rs re-exports none from one"),
        )),
    });
    complaints.collect()
}

/// The name behind `crate::`, or behind as many `super::` as lead up there.
fn name_at_root<'a>(source: &Source, path: &'a CodePath) -> Option<&'a str> {
    if path.segment(0) == "crate" {
        return path.segments.get(1).map(String::as_str).filter(|name| *name != "self");
    }
    let start = usize::from(path.segment(0) == "self");
    let supers = path.segments.iter().skip(start).take_while(|segment| *segment == "super").count();
    let depth = source.module().len() + source.inline_depth(path.at);
    let name = path.segments.get(start + supers)?;
    (supers > 0 && supers == depth).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::complaints_about;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        let lib = "pub use error::{Error, Result}; pub use crate::broker::Broker;";
        complaints_about(&[("src/lib.rs", lib), (path, text)])
    }

    #[track_caller]
    fn bad(path: &str, text: &str) {
        assert_eq!(complaints(path, text), ["1: layers"], "{path}: {text}");
    }

    #[track_caller]
    fn good(path: &str, text: &str) {
        assert!(complaints(path, text).is_empty(), "{path}: {text}");
    }

    #[test]
    fn imports_go_to_the_left() {
        good(
            "src/log/segment.rs",
            "use crate::{env::{Bytes, File}, record, rpc::Request, log::index::Index};",
        );
        good("src/rpc/mod.rs", "use crate::{env::Bytes, record::Batch};");
        good("src/config/mod.rs", "use crate::{error::Error, types::{self, Offset}};");
        good("src/lib.rs", "mod broker; pub use broker::Broker; use crate::cluster;");
        bad("src/log/segment.rs", "use crate::{env::{Bytes, File}, node, record};");
        bad("src/log/segment.rs", "use crate::{env::{Bytes, File}, broker::Broker};");
        bad("src/sync.rs", "fn f(x: crate::types::Offset) {}");
        bad("src/error.rs", "impl From<crate::config::TopicConfig> for Error {}");
        bad("src/client/mod.rs", "macro_rules! m { () => { $crate::node::f() } }");
    }

    #[test]
    fn neighbours_do_not_import_each_other() {
        bad("src/record/batch.rs", "use crate::env::Bytes;");
        bad("src/env/mod.rs", "use crate::record;");
        bad("src/group/mod.rs", "use crate::{types::Offset, log::Log};");
        bad("src/cluster/mod.rs", "use crate::broker::Broker;");
    }

    #[test]
    fn super_up_to_the_root_is_an_import_too() {
        good("src/log/segment.rs", "use super::node; use super::{super::env, index};");
        good("src/log/segment.rs", "mod tests { use super::super::node; }");
        bad("src/log/segment.rs", "use super::super::node::Node;");
        bad("src/log/segment.rs", "use super::{super::{node::Node, env}, index};");
        bad("src/log/segment.rs", "mod tests { use super::super::super::node; }");
        bad("src/log/mod.rs", "fn f() { self::super::broker::open() }");
    }

    #[test]
    fn names_that_lib_re_exports_count_as_their_module() {
        good("src/env/mod.rs", "fn f() -> crate::Result<()> { Err(crate::Error::Closed) }");
        bad("src/env/mod.rs", "fn f(broker: crate::Broker) {}");
        bad("src/env/mod.rs", "fn f(x: crate::Unknown) {}");
        bad("src/env/mod.rs", "use crate::*;");
    }

    #[test]
    fn exceptions_hold_one_way_only() {
        good("src/types/mod.rs", "use crate::{error::Result, prng::Prng};");
        good("src/error.rs", "use crate::types::Offset;");
        bad("src/error.rs", "use crate::prng::Prng;");
    }

    #[test]
    fn a_module_without_a_place_fails() {
        bad("src/util.rs", "");
        bad("src/util/strings.rs", "");
        good("tests/util.rs", "use crate::anything;");
    }
}
