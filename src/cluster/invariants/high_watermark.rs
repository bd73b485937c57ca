//! A high watermark lies within its log, does not go back while one process leads in one epoch, and does not pass the end of a copy
//! that is in sync, unless that copy's machine has just lost what it had.

use super::{Held, broken, copies::Copy};
use crate::{node::CopyView, types::BrokerId};
use std::collections::BTreeMap;

const NAME: &str = "high watermark";

/// How a copy was, and how it is now.
pub(super) fn look(before: &Copy, incarnation: u64, now: &CopyView<'_>, name: &dyn Fn() -> String) -> Held {
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
    for (id, member) in members.filter(|(_, member)| !member.has_lost) {
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
