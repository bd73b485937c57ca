//! Truncation, against a model, with readers that hold what goes.

use super::*;
use crate::prng::Prng;

fn offset(n: i64) -> Offset {
    Offset::new(n)
}

fn filled(seed: u64) -> (Store, Vec<i64>, Vec<i64>) {
    let mut prng = Prng::new(seed);
    let mut store = Store::new(1024 + prng.below(1024) as u32, prng.below(300) as u32);
    let (mut times, mut batches) = (Vec::new(), vec![0]);
    for _ in 0..60 {
        let batch: Vec<i64> = (0..1 + prng.below(4)).map(|_| prng.below(1000) as i64).collect();
        store.append(&batch);
        times.extend(batch);
        batches.push(times.len() as i64);
    }
    (store, times, batches)
}

#[test]
fn what_is_cut_is_gone_what_is_held_stays_and_offsets_go_on() {
    for seed in 0..40 {
        let (mut store, mut times, batches) = filled(seed);
        if seed % 2 == 0 {
            store.crash_and_reopen();
        }
        let end = store.log.end();
        let held = store.log.read(Offset::ZERO, end, 1 << 20, true).unwrap();
        let before = held.to_vec();
        let to = (seed as i64 * 7) % (end.get() + 3);
        let expected_end = batches.iter().copied().filter(|base| *base <= to).max().unwrap();
        store.log.lower_recovery_point(offset(to));
        store.log.truncate(offset(to)).unwrap();
        assert_eq!(store.log.end(), offset(expected_end), "seed {seed}, cut at {to}");
        times.truncate(expected_end as usize);
        // It leads on, in the epoch that it had.
        store.log.epochs.assign(store.log.epoch, offset(expected_end));
        store.append(&[5, 6]);
        times.extend([5, 6]);
        assert_eq!(*held, *before, "what was handed out has changed");
        let all = (expected(&times, 0, times.len()), None);
        assert_eq!(read(&mut store.log, 0, 1 << 20), all, "seed {seed}");
        let end = store.close();
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(offset(to.min(expected_end)))] {
            assert_eq!(read(&mut store.reopen(from).unwrap(), 0, 1 << 20), all, "seed {seed}, {from:?}");
        }
    }
}

#[test]
fn rule_54_logs_part_where_the_epoch_ends_in_the_one_that_has_less_of_it() {
    let (mut store, times, _) = filled(3);
    let first = store.close();
    store.log = store.reopen(LoadedFrom::Crash(first)).unwrap();
    store.append(&[1, 2, 3]);
    let log = &store.log;
    assert_eq!(first.get(), times.len() as i64);
    assert_eq!(log.divergence(LeaderEpoch(0), first.plus(7)), first, "the leader has more of the epoch");
    assert_eq!(log.divergence(LeaderEpoch(0), offset(9)), offset(9), "the leader has less");
    assert_eq!(log.divergence(LeaderEpoch(1), first.plus(99)), log.end());
    store.log.lower_recovery_point(first);
    store.log.truncate(first).unwrap();
    assert_eq!(store.log.epochs.latest(), Some(LeaderEpoch(0)), "an epoch without records is forgotten");
}

#[test]
fn a_batch_around_the_start_that_is_cut_leaves_a_log_that_goes_on_at_its_start() {
    for to in 0..=3 {
        let mut store = Store::new(1 << 20, 0);
        store.append(&[1, 2, 3, 4]);
        store.append(&[5]);
        store.log.move_start(offset(2)).unwrap();
        store.log.lower_recovery_point(offset(to));
        store.log.truncate(offset(to)).unwrap();
        assert_eq!(
            (store.log.start(), store.log.end()),
            (offset(to.min(2)), offset(to.min(2))),
            "cut at {to}"
        );
        store.append(&[7]);
        let start = store.log.start();
        let end = store.close();
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(start)] {
            let mut log = store.reopen_at(from, Some(start)).unwrap();
            let record = (start.get(), 7, format!("record {start}"));
            assert_eq!(read(&mut log, start.get(), 1 << 20), (vec![record], None), "cut at {to}");
        }
    }
}

#[test]
fn cutting_where_a_cleaner_left_nothing_keeps_what_lies_before() {
    let mut store = Store::new(1 << 20, 0);
    store.config.gaps = true;
    (0..3).for_each(|n| store.append(&[n]));
    let size = store.log.last_segment().unwrap().size();
    let kept = store.content(&store.files(".log")[0]);
    (3..6).for_each(|n| store.append(&[n]));
    store.close();
    // A cleaner took the last three, and another segment begins behind them.
    store.overwrite(&store.files(".log")[0], &kept[..size as usize]);
    [".index", ".timeindex", ".snapshot"].iter().flat_map(|suffix| store.files(suffix)).for_each(|derived| {
        store.storage.remove_file(&derived).unwrap();
    });
    store.storage.open(&store.config.dir.join("00000000000000000006.log"), Open::Write).unwrap();
    store.log = store.reopen(LoadedFrom::CleanClose(offset(6))).unwrap();
    store.append(&[6]);
    store.log.truncate(offset(4)).unwrap();
    assert_eq!(store.log.end(), offset(3));
    assert_eq!(read(&mut store.log, 0, 1 << 20), (expected(&[0, 1, 2], 0, 3), None));
}

#[test]
fn what_the_checkpoint_says_of_epochs_is_older_than_a_truncation() {
    let epochs = |log: &Log| log.epochs.to_text();
    let mut store = Store::new(1024, 0);
    (0..4).for_each(|time| store.append(&[time]));
    // A leader's records of epoch 2, from offset 4 on, came in the place of others of that epoch from 17 on.
    store.log.epoch = LeaderEpoch(2);
    store.log.epochs.assign(LeaderEpoch(2), offset(4));
    (4..20).for_each(|time| store.append(&[time]));
    store.close();
    let checkpoint = store.config.dir.join(names::LEADER_EPOCHS);
    for (stale, then) in [
        ("0\n2\n0 0\n2 17\n", "0\n3\n0 0\n2 4\n3 20\n"),
        // Nothing is left of an epoch, but its number may be in somebody's commit.
        ("0\n3\n0 0\n2 4\n7 30\n", "0\n3\n0 0\n2 4\n8 20\n"),
        ("0\n1\n0 0\n", "0\n3\n0 0\n2 4\n3 20\n"),
    ] {
        store.overwrite(&checkpoint, stale.as_bytes());
        let mut log = store.reopen(LoadedFrom::Crash(offset(0))).unwrap();
        assert_eq!(epochs(&log), then);
        assert_eq!(read(&mut log, 0, 300).1, None);
    }
}

#[test]
fn a_checkpoint_that_is_wrong_below_the_recovery_point_is_refused_after_a_crash_too() {
    let mut store = Store::new(1024, 0);
    (0..20).for_each(|time| store.append(&[time]));
    let end = store.close();
    let checkpoint = store.config.dir.join(names::LEADER_EPOCHS);
    store.overwrite(&checkpoint, b"0\n1\n1 0\n");
    for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
        let refused = store.reopen(from).unwrap_err().to_string();
        assert!(refused.contains("a batch of leader epoch 0 where 1 should be"), "{refused}");
    }
}

#[test]
fn without_a_checkpoint_no_epochs_are_made_of_damaged_batches() {
    let mut store = Store::new(1024, 0);
    (0..40).for_each(|time| store.append(&[time]));
    let end = store.close();
    store.overwrite(&store.config.dir.join(names::LEADER_EPOCHS), b"");
    let log = &store.files(".log")[1];
    let mut bytes = store.content(log);
    bytes[15] ^= 1;
    store.overwrite(log, &bytes);
    for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
        let refused = store.reopen(from).unwrap_err().to_string();
        assert!(refused.contains("its leader epoch goes back"), "{refused}");
    }
}
