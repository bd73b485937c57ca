//! A disk that is full, for real: a child appends in a small file system of its own until there is no space, and goes on
//! after there is some again. It gets errors, no signal, and has all that was acknowledged.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use brooklet::{Broker, ConsumerConfig, Durability, Error, Record, Result, TopicConfig};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

const DIR: &str = "BROOKLET_TEST_FULL_DISK_DIR";
const MAPS: &str = "BROOKLET_TEST_FULL_DISK_MAPS";
const DURABILITY: &str = "BROOKLET_TEST_FULL_DISK_DURABILITY";
/// Mounts a small file system where only the child sees it, and becomes the child.
const MOUNT: &str =
    r#"mount -t tmpfs -o size=6m none "$1" && exec "$2" --exact child_fills_the_disk --nocapture"#;

fn value(n: usize) -> Vec<u8> {
    let mut value = format!("{n}:").into_bytes();
    value.resize(100 + n * 131 % 1500, b'v');
    value
}

fn open(dir: &Path) -> Broker {
    let maps = std::env::var(MAPS).unwrap() == "true";
    Broker::builder().memory_maps(maps).open(dir.join("store")).unwrap()
}

/// What was acknowledged: the number of the record at each offset.
type Told = BTreeMap<i64, usize>;

/// Appends until that fails, and gives the error.
fn fill(broker: &Broker, durability: Durability, told: &mut Told, tried: &mut usize) -> Error {
    loop {
        let value = value(*tried);
        *tried += 1;
        match broker.produce(Record::to("t").value(&value).durability(durability)) {
            Ok(at) => {
                assert!(
                    told.keys().next_back().is_none_or(|last| at.offset > *last),
                    "an offset was given out twice"
                );
                told.insert(at.offset, *tried - 1);
            }
            Err(error) => return error,
        }
        assert!(*tried < 100_000, "this disk has no end");
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull)
}

/// All that was acknowledged is there. A record whose flush failed may be, too.
fn check(broker: &Broker, told: &Told) -> Result<()> {
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("t")?;
    let (mut seen, mut unasked) = (0, 0);
    while !consumer.is_caught_up()? {
        for record in &consumer.poll(Duration::from_secs(5))? {
            match told.get(&record.offset()) {
                Some(n) => assert!(record.value() == Some(&value(*n)[..]), "offset {}", record.offset()),
                None => unasked += 1,
            }
            seen += usize::from(told.contains_key(&record.offset()));
        }
    }
    assert_eq!(seen, told.len());
    assert!(unasked < 20, "{unasked} records that nobody was told of");
    Ok(())
}

/// Runs in a process of its own, started by the tests below; does nothing without a directory.
#[test]
fn child_fills_the_disk() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let durability = match std::env::var(DURABILITY).unwrap().as_str() {
        "flushed" => Durability::Flushed,
        _ => Durability::Buffered,
    };
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![b'b'; 2 << 20]).unwrap();
    let (mut told, mut tried) = (Told::new(), 0);
    let mut broker = open(dir);
    broker.ensure_topic("t", TopicConfig::new().segment_bytes(300_000)).unwrap();
    let error = fill(&broker, durability, &mut told, &mut tried);
    assert!(is_full(&error), "{error:?}");
    // Again and again, and what was acknowledged is read all the same.
    for _ in 0..5 {
        let error = fill(&broker, durability, &mut told, &mut tried);
        assert!(is_full(&error), "{error:?}");
    }
    check(&broker, &told).unwrap();
    drop(broker.close());
    std::fs::remove_file(&ballast).unwrap();
    broker = open(dir);
    check(&broker, &told).unwrap();
    let before = told.len();
    let error = fill(&broker, durability, &mut told, &mut tried);
    assert!(is_full(&error), "{error:?}");
    assert!(told.len() > before + 500, "there was space again: {before}, then {} records", told.len());
    check(&broker, &told).unwrap();
    drop(broker);
    println!("filled with {} records", told.len());
}

fn run(dir: &Path, maps: bool, durability: &str) -> Output {
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh"])
        .args([dir.as_os_str(), std::env::current_exe().unwrap().as_os_str()])
        .envs([(DIR, dir.as_os_str()), (MAPS, maps.to_string().as_ref()), (DURABILITY, durability.as_ref())])
        .output()
        .unwrap()
}

/// Not every system lets everybody mount; one where CI runs has to.
fn can_mount(dir: &Path) -> bool {
    let mount = r#"mount -t tmpfs -o size=1m none "$1""#;
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"])
        .arg(dir)
        .output();
    let can = tried.is_ok_and(|tried| tried.status.success());
    assert!(can || std::env::var_os("CI").is_none(), "no file system of its own can be mounted here");
    can
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(dir.path()) {
        println!("skipped: no file system of its own can be mounted here");
        return;
    }
    for maps in [true, false] {
        for durability in ["buffered", "flushed"] {
            let output = run(dir.path(), maps, durability);
            let said = String::from_utf8_lossy(&output.stdout);
            let complaints = String::from_utf8_lossy(&output.stderr);
            let what = format!("maps: {maps}, {durability}, {}\n{said}{complaints}", output.status);
            assert!(output.status.success() && said.contains("filled with"), "{what}");
            println!("maps: {maps}, {durability}: {}", said.lines().find(|l| l.contains("filled")).unwrap());
        }
    }
}
