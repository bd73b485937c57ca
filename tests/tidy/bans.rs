//! What only one place may use.

use super::{
    Complaint,
    source::{CodePath, Source},
};

/// Where `unsafe` may stand.
const UNSAFE: &str = "src/env/mmap.rs";
/// Where the library has its locks, atomics and threads from.
const SYNC: [&str; 2] = ["src/sync.rs", "src/sync/"];
/// Where the library meets time and files.
const ENV: &str = "src/env/";

const LOCK_CRATES: &[&str] =
    &["parking_lot", "lock_api", "crossbeam", "crossbeam_channel", "crossbeam_utils", "shuttle"];
const SLEEPS: &[&str] = &["sleep", "sleep_ms", "sleep_until", "park_timeout", "park_timeout_ms"];
/// Of condition variables, locks and channels. `wait_timeout` is not among them: brooklet has one of its own, and only
/// a standard condition variable's takes two arguments.
const TIMED_WAITS: &[&str] = &[
    "wait_for",
    "wait_until",
    "wait_while_for",
    "wait_while_until",
    "wait_timeout_ms",
    "wait_timeout_while",
    "recv_timeout",
    "recv_deadline",
    "send_timeout",
    "send_deadline",
    "select_timeout",
    "ready_timeout",
    "park_timeout",
    "park_deadline",
    "try_lock_for",
    "try_lock_until",
    "try_read_for",
    "try_read_until",
    "try_write_for",
    "try_write_until",
];
/// Channels that tell the time.
const TIME_CHANNELS: &[&str] = &["after", "at", "tick"];
/// What a `Path` asks the file system.
const PATH_QUESTIONS: &[&str] = &[
    "exists",
    "try_exists",
    "is_file",
    "is_dir",
    "is_symlink",
    "canonicalize",
    "read_dir",
    "read_link",
    "symlink_metadata",
];

/// `only_tests`: the file is there for `#[cfg(test)]` only. Such code may use the standard library's locks, threads
/// and files.
pub(crate) fn check(source: &Source, only_tests: bool) -> Vec<Complaint> {
    let tests = source.test_modules();
    let in_tests = |at: usize| only_tests || tests.iter().any(|test| test.contains(&at));
    let in_tokens = (0..source.tokens.len()).flat_map(|at| {
        let found = [
            ("unsafe", uses_unsafe(source, at)),
            ("sync", uses_lock_crate(source, at) && !in_tests(at)),
            ("clock", asks_elapsed(source, at)),
            ("timed wait", waits(source, at)),
            ("files", asks_path(source, at) && !in_tests(at)),
        ];
        found.into_iter().filter(|(_, is)| *is).map(move |(rule, _)| (rule, at))
    });
    let paths = source.paths();
    let in_paths = paths.iter().flat_map(|path| {
        let found = [
            ("sync", uses_lock(source, path) && !in_tests(path.at)),
            ("clock", reads_clock(source, path)),
            ("sleep", sleeps(path)),
            ("timed wait", waits_by_path(source, path)),
            ("files", uses_files(source, path) && !in_tests(path.at)),
        ];
        found.into_iter().filter(|(_, is)| *is).map(|(rule, _)| (rule, path.at))
    });
    let complaints = in_tokens.chain(in_paths).map(|(rule, at)| {
        let token = &source.tokens[at];
        Complaint {
            path: source.path.clone(),
            line: token.line,
            rule,
            what: format!("{} {}", token.text, told(rule)),
        }
    });
    complaints.collect()
}

fn told(rule: &str) -> &'static str {
    match rule {
        "unsafe" => "stands only in src/env/mmap.rs",
        "sync" => "comes only from crate::sync",
        "clock" => "reads the wall clock: ask the Clock of crate::env",
        "sleep" => "sleeps: wait for a condition, or use the manual clock",
        "timed wait" => "waits by the wall clock: only crate::env may",
        _ => "goes to the file system: ask the Storage of crate::env",
    }
}

fn is_library_outside(source: &Source, place: &str) -> bool {
    source.is_library() && !source.path.starts_with(place)
}

fn is_outside_sync(source: &Source) -> bool {
    SYNC.iter().all(|place| is_library_outside(source, place))
}

fn is_call(source: &Source, at: usize, names: &[&str]) -> bool {
    at > 0 && source.is(at - 1, ".") && source.is(at + 1, "(") && names.iter().any(|name| source.is(at, name))
}

fn uses_unsafe(source: &Source, at: usize) -> bool {
    source.path != UNSAFE && source.is(at, "unsafe")
}

fn uses_lock_crate(source: &Source, at: usize) -> bool {
    is_outside_sync(source) && LOCK_CRATES.iter().any(|name| source.is(at, name))
}

fn uses_lock(source: &Source, path: &CodePath) -> bool {
    let is_std = matches!(path.segment(0), "std" | "core" | "alloc");
    let is_lock = path.segment(1) == "sync" && !matches!(path.segment(2), "Arc" | "Weak");
    is_outside_sync(source) && is_std && (is_lock || path.segment(1) == "thread")
}

fn reads_clock(source: &Source, path: &CodePath) -> bool {
    let is_clock = path.ends_with(&["Instant", "now"]) || path.ends_with(&["SystemTime", "now"]);
    is_library_outside(source, ENV) && is_clock
}

fn asks_elapsed(source: &Source, at: usize) -> bool {
    is_library_outside(source, ENV) && is_call(source, at, &["elapsed"])
}

/// In tests too.
fn sleeps(path: &CodePath) -> bool {
    SLEEPS.iter().any(|name| path.ends_with(&["thread", name]))
}

fn waits(source: &Source, at: usize) -> bool {
    let has_two_arguments = || {
        let end = source.partner(at + 1);
        let mut inside = at + 2;
        while inside < end && !source.is(inside, ",") {
            inside = source.partner(inside).max(inside) + 1;
        }
        inside < end
    };
    let is_standard = is_call(source, at, &["wait_timeout"]) && has_two_arguments();
    is_library_outside(source, ENV) && (is_standard || is_call(source, at, TIMED_WAITS))
}

fn waits_by_path(source: &Source, path: &CodePath) -> bool {
    let is_wait = TIMED_WAITS.iter().any(|name| path.segments.len() > 1 && path.ends_with(&[name]));
    let is_channel = TIME_CHANNELS.iter().any(|name| path.ends_with(&["channel", name]));
    is_library_outside(source, ENV) && (is_wait || is_channel)
}

fn uses_files(source: &Source, path: &CodePath) -> bool {
    let is_fs = ["std", "rustix"].iter().any(|root| path.starts_with(&[root, "fs"]));
    let is_os = path.starts_with(&["std", "os"]) && path.segments.iter().any(|segment| segment == "fs");
    is_library_outside(source, ENV) && (is_fs || is_os)
}

fn asks_path(source: &Source, at: usize) -> bool {
    is_library_outside(source, ENV) && is_call(source, at, PATH_QUESTIONS) && source.is(at + 2, ")")
}

#[cfg(test)]
mod tests {
    use super::super::complaints_about;

    #[track_caller]
    fn bad(path: &str, text: &str, rule: &str) {
        let told = complaints_about(&[(path, text)]);
        assert_eq!(told, [format!("1: {rule}")], "{path}: {text}");
    }

    #[track_caller]
    fn good(path: &str, text: &str) {
        let told = complaints_about(&[(path, text)]);
        assert!(told.is_empty(), "{path}: {text}: {told:?}");
    }

    #[test]
    fn unsafe_stands_in_one_file() {
        let text = "fn f(p: *const u8) -> u8 { unsafe { *p } }";
        for path in ["src/env/real.rs", "src/log/mod.rs", "tests/log.rs", "examples/log.rs", "benches/log.rs"]
        {
            bad(path, text, "unsafe");
        }
        good("src/env/mmap.rs", text);
        good("src/lib.rs", "#![deny(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";");
    }

    #[test]
    fn locks_atomics_and_threads_come_from_sync() {
        let texts = [
            "use std::sync::Mutex;",
            "use std::{io, sync::{Arc, RwLock}};",
            "use std::sync::{self, Arc};",
            "use std::sync;",
            "use std::sync::*;",
            "static N: core::sync::atomic::AtomicU64 = X;",
            "use std::sync::mpsc::channel;",
            "use parking_lot::Mutex;",
            "fn f() { ::crossbeam_channel::unbounded() }",
            "fn f() { std::thread::spawn(g) }",
            "use std::{sync::Arc, thread};",
        ];
        for text in texts {
            bad("src/log/mod.rs", text, "sync");
            bad("src/env/real.rs", text, "sync");
            good("src/sync.rs", text);
            good("src/sync/system.rs", text);
            good("tests/log.rs", text);
            good("src/log/mod.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}"));
        }
        good("src/log/mod.rs", "use std::sync::{Arc, Weak}; use crate::sync::Mutex;");
        let parent = ("src/log/mod.rs", "#[cfg(test)] mod tests; mod segment;");
        assert!(complaints_about(&[parent, ("src/log/tests.rs", texts[0])]).is_empty());
        assert_eq!(complaints_about(&[parent, ("src/log/segment.rs", texts[0])]), ["1: sync"]);
    }

    #[test]
    fn the_wall_clock_is_read_in_env() {
        let texts = [
            "fn f() { std::time::SystemTime::now() }",
            "fn f() { let start = Instant::now(); }",
            "fn f() { x.unwrap_or_else(Instant::now) }",
            "fn f() { std::time::UNIX_EPOCH.elapsed() }",
        ];
        for text in texts {
            bad("src/log/mod.rs", text, "clock");
            bad("src/log/mod.rs", &format!("#[cfg(test)] mod tests {{ {text} }}"), "clock");
            good("src/env/clock.rs", text);
            good("tests/log.rs", text);
        }
        good(
            "src/log/mod.rs",
            "use std::time::{Duration, SystemTime}; fn f() { clock.now(); Instant::default() }",
        );
    }

    #[test]
    fn nobody_sleeps() {
        for path in ["src/log/mod.rs", "src/env/real.rs", "tests/log.rs", "examples/log.rs", "benches/log.rs"]
        {
            let text = "#[cfg(test)] mod tests { fn f() { thread::sleep(Duration::from_millis(1)) } }";
            bad(path, text, "sleep");
            bad(path, "#[cfg(test)] mod tests { use std::thread::{self, sleep}; }", "sleep");
        }
        good("src/broker/mod.rs", "fn f() { alarm.sleep(&clock, deadline) }");
    }

    #[test]
    fn timed_waits_are_in_env() {
        let texts = [
            "fn f() { condvar.wait_for(&mut guard, limit); }",
            "fn f() { self.condvar.wait_until(&mut guard, deadline); }",
            "fn f() { condvar.wait_timeout(lock(a), limit) }",
            "fn f() { receiver.recv_timeout(limit) }",
            "fn f() { receiver.recv_deadline(deadline) }",
            "fn f() { Receiver::recv_timeout(&receiver, limit) }",
            "fn f() { let ticks = channel::tick(limit); }",
            "fn f() { mutex.try_lock_for(limit) }",
        ];
        for text in texts {
            bad("src/log/mod.rs", text, "timed wait");
            good("src/env/wait.rs", text);
            good("tests/log.rs", text);
        }
        good(
            "src/client/mod.rs",
            "fn wait_timeout(&self, limit: Duration) { pending.wait_timeout(max(limit, a)) }",
        );
    }

    #[test]
    fn files_are_in_env() {
        let texts = [
            "use std::{fs, io};",
            "use std::fs::File;",
            "fn f() { std::fs::read(path) }",
            "use std::os::unix::fs::FileExt;",
            "use rustix::fs::flock;",
            "fn f() { path.exists() }",
        ];
        for text in texts {
            bad("src/log/mod.rs", text, "files");
            good("src/env/real.rs", text);
            good("tests/log.rs", text);
            good("src/log/mod.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}"));
        }
        good("src/log/mod.rs", "use std::{io, path::Path}; fn f() { entry.is_dir; storage.exists(path) }");
    }
}
