//! A high watermark lies within its log, does not go back while one process leads in one epoch, and does not pass the end of a copy
//! that is in sync, unless that copy's machine has just lost what it had.

use super::{
    Held, broken,
    copies::{Copy, View},
};
use crate::types::BrokerId;
use std::collections::BTreeMap;

const NAME: &str = "high watermark";

/// How a copy was, and how it is now.
pub(super) fn look(before: &Copy, incarnation: u64, now: &View, name: &dyn Fn() -> String) -> Held {
    let (start, reached, end) = (now.start, now.high_watermark, now.end);
    if now.leads && !(start <= reached && reached <= end) {
        return Err(broken(NAME, format_args!("{}: {reached} is not in {start} to {end}", name())));
    }
    let same = (before.incarnation, before.view.epoch, before.view.leads) == (incarnation, now.epoch, true);
    let last = before.view.high_watermark;
    if same && now.leads && reached < last {
        return Err(broken(NAME, format_args!("{}: it goes back from {last} to {reached}", name())));
    }
    Ok(())
}

/// Those who are in sync with a leader have what lies below its high watermark.
pub(super) fn check_members(
    copies: &BTreeMap<BrokerId, Copy>,
    leader: BrokerId,
    name: &dyn Fn() -> String,
) -> Held {
    let Some(leading) = copies.get(&leader).filter(|copy| copy.view.leads) else { return Ok(()) };
    let reached = leading.view.high_watermark;
    let members = leading.view.isr.iter().filter_map(|id| Some((id, copies.get(id)?)));
    for (id, member) in members.filter(|(_, member)| !member.has_lost()) {
        let end = member.view.end;
        if end < reached {
            let what = format_args!(
                "{}: broker {leader} lets read up to {reached}, broker {id} ends at {end}",
                name()
            );
            return Err(broken(NAME, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::committed::tests::leader, *};
    use crate::types::{LeaderEpoch, Offset};

    /// Broker 1 leads with 2 in sync, and lets read up to 5; 2 ends where it is told.
    fn copies(end: i64) -> BTreeMap<BrokerId, Copy> {
        let isr = [1.into(), 2.into()].into();
        let at = |offset: i64| (Offset::new(offset), Offset::new(offset));
        let copy = |leads: bool, (high_watermark, end): (Offset, Offset)| {
            let mut copy = Copy::default();
            let isr = if leads { std::collections::BTreeSet::clone(&isr) } else { Default::default() };
            copy.view = View { leads, epoch: LeaderEpoch(1), isr, high_watermark, start: Offset::ZERO, end };
            copy
        };
        [(1.into(), copy(true, at(5))), (2.into(), copy(false, at(end)))].into()
    }

    fn holds(copies: &BTreeMap<BrokerId, Copy>) -> bool {
        check_members(copies, 1.into(), &|| "t-0".to_owned()).is_ok()
    }

    /// Something becomes of the follower's copy.
    fn change(copies: &mut BTreeMap<BrokerId, Copy>, change: fn(&mut Copy)) {
        copies.get_mut(&2.into()).into_iter().for_each(change);
    }

    #[test]
    fn it_goes_back_only_with_another_process_or_epoch_and_lies_in_the_log() {
        let before = Copy { incarnation: 1, ..leader(1, 5, &[]) };
        let at = |(start, reached, end): (i64, i64, i64)| View {
            start: Offset::new(start),
            high_watermark: Offset::new(reached),
            end: Offset::new(end),
            ..before.view.clone()
        };
        let holds = |incarnation, now: &View| look(&before, incarnation, now, &String::new).is_ok();
        assert!(holds(1, &at((0, 5, 5))) && holds(1, &at((2, 6, 9))));
        assert!(!holds(1, &at((0, 4, 5))), "it goes back");
        assert!(holds(2, &at((0, 4, 5))) && holds(1, &View { epoch: LeaderEpoch(2), ..at((0, 4, 5)) }));
        assert!(holds(1, &View { leads: false, ..at((0, 4, 5)) }), "it is a follower's");
        assert!(!holds(2, &at((0, 6, 5))) && !holds(2, &at((7, 6, 9))));
    }

    #[test]
    fn who_is_in_sync_has_what_may_be_read() {
        assert!(holds(&copies(5)));
        assert!(!holds(&copies(4)));
    }

    #[test]
    fn who_has_lost_its_disk_need_not_until_it_is_found_in_sync_again() {
        let mut copies = copies(4);
        change(&mut copies, Copy::lose);
        assert!(holds(&copies));
        change(&mut copies, Copy::joined);
        assert!(holds(&copies), "that was decided before");
        change(&mut copies, Copy::registered);
        assert!(holds(&copies));
        change(&mut copies, Copy::joined);
        assert!(!holds(&copies));
    }

    /// Seed 4061275: with its power it lost the directory, and so the copy was thought removed by whoever knows of that.
    #[test]
    fn who_has_lost_its_directory_need_not_have_it_until_then_either() {
        let mut copies = copies(5);
        change(&mut copies, Copy::lose);
        change(&mut copies, Copy::remove);
        change(&mut copies, Copy::joined);
        assert!(holds(&copies), "that was decided before");
        change(&mut copies, Copy::registered);
        change(&mut copies, Copy::joined);
        assert!(!holds(&copies));
        change(&mut copies, Copy::remove);
        assert!(holds(&copies), "nobody knows yet that it is gone");
        change(&mut copies, Copy::joined);
        assert!(!holds(&copies));
    }
}
