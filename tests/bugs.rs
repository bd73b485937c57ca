//! Proves the tests of survival: each deliberate bug of `src/bugs.rs` in turn is put into the library, and the test that is
//! there to find it must fail. `tests/bugs/run` runs it; in an ordinary build there are no bugs, and nothing here.

#![cfg(brooklet_bugs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Each bug, and what finds it: a test target, and a test in it.
const FOUND_BY: &[(&str, &str, &str)] = &[
    ("SkipDirectorySync", "crash", POWER),
    ("AcknowledgeBeforeFlush", "crash", POWER),
    ("TrustIndex", "brooklet", "log::tests::damage::an_index_that_names_another"),
    ("PublishBeforeCopy", "crash", FAULTS),
    ("ResumeAfterHole", "crash", POWER),
    ("ForgetFailedFlush", "crash", FAULTS),
    ("RecoveryPointAhead", "crash", POWER),
    ("MarkCleanBeforeFlush", "crash", POWER),
    ("DropBeforeStartIsNoted", "crash", POWER),
    ("CallRemovedDurable", "brooklet", "log::tests::retention::what_lies_below_a_start_that_does_not_last"),
    ("EpochNotSynced", "crash", POWER),
    ("RecoverWithoutSync", "crash", FAULTS),
    ("TrustWhatWasReadBack", "crash", FAULTS),
    ("RemoveBeforeNoted", "crash", POWER),
    ("KeepRecoveryPoint", "brooklet", "log::tests::surviving::a_log_survives_power_cuts"),
    ("GoOnAfterFailedTruncation", "brooklet", "log::tests::surviving::a_log_survives_failures"),
    ("SwapBeforeSync", "brooklet", "log::tests::compacting::a_compacted_log_survives_power_cuts"),
    ("ForgetDeleteHorizon", "brooklet", "log::tests::cleaning::rule_43_a_tombstone_is_told"),
    ("DropTombstonesAtOnce", "brooklet", "log::tests::cleaning::rule_43_a_tombstone_is_told"),
    ("ForgetVote", "brooklet", QUORUM),
    ("SkipPreVote", "brooklet", "controller::quorum::tests::one_who_hears_nobody_does_not_raise"),
    ("CommitOlderTerms", "brooklet", QUORUM),
    ("ChangeVotersUnsettled", "brooklet", QUORUM),
    ("SnapshotUncommitted", "brooklet", QUORUM),
    ("DropBeforeSnapshot", "simulate", CLUSTER),
    ("KeepWhatIsGone", "brooklet", "cluster::tests::snapshots::a_broker_that_was_away_learns"),
    ("TruncateToHighWatermark", "simulate", CLUSTER),
    ("RaiseBeforeTruncating", "brooklet", "node::tests::replication::a_follower_takes_nothing_for_committed"),
    ("ServeStaleLeader", "simulate", CLUSTER),
    ("AcknowledgeBeforeReplicated", "simulate", CLUSTER),
    ("ReadAboveHighWatermark", "simulate", CLUSTER),
    ("JoinBehind", "brooklet", "replica::leader::tests::rule_56_who_has_less"),
    ("ForgetJoiners", "brooklet", "replica::leader::tests::rule_54_one_who_is_about_to_join"),
    ("ForgetProposals", "simulate", "a_replica_that_may_have_joined"),
    ("TrustLostData", "brooklet", "cluster::tests::the_last_one_in_sync_that_lost_power"),
    ("RemoveReplicasEarly", "brooklet", "controller::tests::reassignment::the_old_replicas_stay"),
    ("ForgetReassignments", "brooklet", "cluster::tests::scale::a_move_outlives"),
    ("KeepAdded", "brooklet", "controller::tests::reassignment::a_move_is_taken_back"),
    ("PreferOutOfSync", "brooklet", "controller::tests::balance::preferred_leaders"),
    ("PreferUnevenly", "brooklet", "controller::tests::balance::partitions_are_spread"),
    ("IgnoreThrottle", "brooklet", "cluster::tests::scale::what_is_on_its_way"),
    ("ThrottleAll", "brooklet", "cluster::tests::moves::a_broker_that_is_slowed_down"),
    ("ForgetWhoHasPartitions", "brooklet", "controller::tests::balance::a_broker_is_forgotten"),
    ("TakeVoteAway", "brooklet", "cluster::tests::scale::all_whom_a_cluster"),
    ("ReuseIds", "brooklet", "cluster::tests::scale::no_id_is_given_twice"),
    ("ForgetWhoIsGone", "cluster_files", "grown::one_that_has_grown_and_shrunk"),
    ("MissNewPartitions", "simulate", CLUSTER),
    ("JudgeByCalendar", "brooklet", "cluster::tests::scale::a_clock_that_is_ahead"),
    ("ActBeforeRegistered", "simulate", CLUSTER),
    ("ServeBeforeRegistered", "brooklet", "cluster::tests::scale::a_broker_that_knows_nothing"),
    ("KeepEmptyEpochs", "brooklet", "node::tests::replication::an_epoch_in_which_a_copy_led"),
    ("ForgetGroups", "simulate", CLUSTER),
    ("CommitFencedGeneration", "brooklet", "group::tests::offsets::rule_44_first_who"),
    ("ForgetGenerations", "simulate", CLUSTER),
    ("AssignTwice", "simulate", CLUSTER),
    ("SkipDivergence", "simulate", CLUSTER),
    ("SkipSequenceCheck", "simulate", CLUSTER),
    ("ForgetDedupWindow", "simulate", CLUSTER),
    ("AnswerDuplicateAtOnce", "simulate", CLUSTER),
    ("StampDuplicatesAnew", "simulate", CLUSTER),
    ("RestampInDoubt", "brooklet", "client::network::sequences::tests::simulation"),
];

const QUORUM: &str = "controller::quorum::tests::simulation";
const CLUSTER: &str = "whatever_happens";

const POWER: &str = "power::whatever_the_power_cut_interrupts_what";
const FAULTS: &str = "faults::whatever_fails_says_so_and_what";

/// How many seeds a test may try before it finds a bug: those that it tries by itself.
fn most_seeds(target: &str) -> u64 {
    if target == "simulate" { 100 } else { 1000 }
}

/// A test that runs for longer has not found anything: it hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds the tests, and gives the program of each target.
fn programs() -> BTreeMap<String, String> {
    let targets = FOUND_BY.iter().map(|(_, target, _)| *target).filter(|target| *target != "brooklet");
    let built = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--no-run", "--message-format=json", "--lib"])
        .args(targets.flat_map(|target| ["--test", target]))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the tests do not build");
    let lines = String::from_utf8(built.stdout).unwrap();
    let messages = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let program = |message: serde_json::Value| {
        let path = message["executable"].as_str()?.to_owned();
        Some((message["target"]["name"].as_str()?.to_owned(), path))
    };
    messages.filter_map(program).collect()
}

/// Runs the tests whose names begin so, with a bug or with none, and stops them at the limit.
fn run(program: &str, test: &str, bug: &str) -> Output {
    let mut child = Command::new(program)
        .args([test, "--nocapture", "--test-threads=1"])
        .env("BROOKLET_BUG", bug)
        .env("RUST_BACKTRACE", "0")
        .env_remove("BROOKLET_SEED")
        .env_remove("BROOKLET_SEEDS")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id().to_string();
    let (ended, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let _ = scope.spawn(move || {
            if waiting.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-9", &id]).status();
            }
        });
        let output = child_output(&mut child);
        drop(ended);
        output
    })
}

fn child_output(child: &mut std::process::Child) -> Output {
    let mut stderr = child.stderr.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let read = |from: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let (stdout, stderr) = thread::scope(|scope| {
        let errors = scope.spawn(|| read(&mut stderr));
        (read(&mut stdout), errors.join().unwrap())
    });
    Output { status: child.wait().unwrap(), stdout, stderr }
}

/// What a run with a bug showed: `Err` if the test did not find it.
fn hunt(program: &str, test: &str, bug: &str, most_seeds: u64) -> Result<String, String> {
    let begun = Instant::now();
    let output = run(program, test, bug);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = said.join("\n");
    let seconds = begun.elapsed().as_secs_f32();
    // A test that fails, and not a process that was killed or found no test.
    let is_found =
        output.status.code() == Some(101) && said.contains("1 failed;") && !said.contains("there is no bug");
    let seed = |after: &str| after.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok();
    // Some tests name each seed.
    let seeds = said.split("BROOKLET_SEED=").skip(1).filter_map(seed).last().map_or(1, |seed| seed + 1);
    let why = said.lines().skip_while(|line| !line.contains(" panicked at ")).nth(1).unwrap_or_default();
    let why: String = why.chars().take(160).collect();
    match is_found && seeds <= most_seeds {
        true => Ok(format!("{bug}: found by {test}, seeds tried: {seeds}, in {seconds:.1} s\n    {why}")),
        false => {
            let status = output.status;
            Err(format!(
                "{bug}: NOT FOUND by {test}, seeds tried: {seeds}, in {seconds:.1} s, {status}\n{said}"
            ))
        }
    }
}

/// A seed that fails by a bug shrinks to what it takes: a test that passes.
#[test]
fn a_seed_that_fails_is_shrunk() {
    let (bug, test) = ("ForgetDedupWindow", "a_seed_that_fails_shrinks");
    let output = run(&programs()["simulate"], test, bug);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = said.join("\n");
    assert!(output.status.success() && said.contains("1 passed;"), "{said}");
    said.lines().filter(|line| line.contains(" are left: ")).for_each(|line| println!("{line}"));
}

#[test]
fn every_deliberate_bug_is_found() {
    let named: Vec<&str> = FOUND_BY.iter().map(|(bug, ..)| *bug).collect();
    assert_eq!(named, brooklet::BUGS, "each bug has a test that is to find it");
    let only = std::env::var("BROOKLET_BUG").ok();
    let wanted = |bug: &str| only.as_deref().is_none_or(|only| only == bug);
    let programs = programs();
    let hunts = Mutex::new(FOUND_BY.iter().filter(|(bug, ..)| wanted(bug)));
    let (found, missed) = (Mutex::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some((bug, target, test)) = hunts.lock().unwrap().next() else { return };
                    match hunt(&programs[*target], test, bug, most_seeds(target)) {
                        Ok(how) => {
                            println!("{how}");
                            *found.lock().unwrap() += 1;
                        }
                        Err(why) => missed.lock().unwrap().push(why),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    println!("{} of {} bugs were found", found.into_inner().unwrap(), FOUND_BY.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Builds `examples/simulate`, and gives the program.
fn simulate() -> String {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--profile", "test", "--message-format=json", "--example", "simulate"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the example does not build");
    let lines = String::from_utf8(built.stdout).unwrap();
    let messages = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut programs = messages.filter(|message| message["target"]["name"] == "simulate");
    programs.find_map(|message| Some(message["executable"].as_str()?.to_owned())).unwrap()
}

/// Runs `examples/simulate` with a bug: its exit code, and what it said.
fn simulated(program: &str, arguments: &[&str], bug: &str) -> (Option<i32>, String) {
    let output = Command::new(program)
        .args(arguments)
        .env("BROOKLET_BUG", bug)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), said.join("\n"))
}

/// The seed that fails, and what does not hold.
fn failure(said: &str) -> (&str, &str) {
    let failure = said.lines().find_map(|line| line.strip_prefix("seed ")?.split_once(" fails: "));
    failure.unwrap_or_else(|| panic!("{said}"))
}

/// Without figures.
fn kind(what: &str) -> &str {
    what.split(':').next().unwrap()
}

#[test]
fn simulate_leaves_what_tells_of_a_seed_that_fails_and_shrinks_it() {
    let (bug, program, out) = ("ForgetDedupWindow", simulate(), tempfile::tempdir().unwrap());
    let dir = out.path().to_str().unwrap();
    let run = |arguments: &[&str]| simulated(&program, &[arguments, &["--out", dir]].concat(), bug);
    let file = |name: String| std::fs::read_to_string(out.path().join(&name)).expect(&name);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();

    let (code, told) = run(&["--seeds", "100"]);
    assert_eq!(code, Some(1), "{told}");
    let (seed, what) = failure(&told);
    println!("simulate: seed {seed} fails: {what}");
    let (page, lines) = (file(format!("simulate-{seed}.html")), file(format!("simulate-{seed}.jsonl")));
    assert!(page.contains(&format!("\"seed\":{seed}")) && page.contains("\"kind\":\"broken\""));
    let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let broken: Vec<_> = events.filter(|event| event["kind"] == "broken").collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(
        what.ends_with(&format!("{}: {}", text(&broken[0]["invariant"]), text(&broken[0]["what"]))),
        "{what}"
    );

    let (code, shrunk) = run(&["--shrink", seed]);
    assert_eq!(code, Some(0), "{shrunk}");
    let (_, command) = shrunk.split_once("--example simulate -- ").expect(&shrunk);
    let command: Vec<&str> = command.lines().next().unwrap().split(' ').collect();
    assert_eq!(command[..5], ["--seeds", "1", "--from", seed, "--faults"]);
    println!("simulate: it fails with {}", command.join(" "));
    let (code, again) = run(&command);
    assert_eq!((code, failure(&again)), (Some(1), failure(&shrunk)));
    assert_eq!(kind(failure(&again).1), kind(what));
    assert!(file(format!("simulate-{seed}-less.jsonl")).contains("\"kind\":\"broken\""));
}
