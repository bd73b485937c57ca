//! What coordinators show of groups, whoever they are: the commits, the generation, and who has what. A coordinator that does
//! not know yet that there is a newer one counts for what was so before that one.

use super::{Held, commits::Commits, generations::Generations, one_owner::Owners};
use crate::{
    cluster::{
        host::Running,
        witness::{GroupNote, GroupWord, Said},
    },
    controller::Image,
    group::{Group, partition_for_group},
    types::{BrokerId, LeaderEpoch, OFFSETS_TOPIC, Timestamp, TopicPartition},
};
use std::collections::BTreeMap;

/// All groups that somebody has asked for.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_id: BTreeMap<String, Known>,
    /// By partition of `__consumer_offsets`: coordinators of earlier epochs have had what an unclean election has given up.
    since: BTreeMap<i32, LeaderEpoch>,
}

/// What is known of a group.
#[derive(Debug, Default)]
struct Known {
    commits: BTreeMap<TopicPartition, Commits>,
    generations: Generations,
    owners: Owners,
    /// In which epoch each broker was its coordinator last.
    led_in: BTreeMap<BrokerId, LeaderEpoch>,
}

impl Groups {
    /// Somebody who may lack what was committed leads a partition of `__consumer_offsets`.
    pub(super) fn give_up(&mut self, partition: i32, epoch: LeaderEpoch) {
        self.since.insert(partition, epoch);
        // Few are given up that need not be: there are few such elections.
        self.by_id.clear();
    }

    /// Something has happened at a broker, and clients were told of it.
    pub(super) fn look(
        &mut self,
        id: BrokerId,
        running: &Running,
        image: &Image,
        notes: Vec<GroupNote>,
    ) -> Held {
        let (now, kept_until) = running.node.offsets_kept_until();
        notes.iter().filter(|note| note.said == Said::Asked).for_each(|note| self.asked(note, kept_until));
        let Some((_, offsets)) = image.topic(OFFSETS_TOPIC) else { return Ok(()) };
        let count = offsets.partitions.len() as i32;
        for (group, known) in &mut self.by_id {
            let since = self.since.get(&partition_for_group(group, count)).copied().unwrap_or_default();
            let shown = running.node.look_at_group(group, |epoch, there| {
                if epoch < since {
                    return Ok(());
                }
                known.led_in.insert(id, epoch);
                known.shown(group, epoch, there, (image, now))
            });
            shown.unwrap_or(Ok(()))?;
        }
        notes.iter().filter(|note| note.said != Said::Asked).try_for_each(|note| self.answered(note))
    }

    fn asked(&mut self, note: &GroupNote, kept_until: Timestamp) {
        let known = self.by_id.entry(note.word.group().to_owned()).or_default();
        match &note.word {
            GroupWord::Join { .. } => {}
            GroupWord::Commit { generation, offsets, .. } => {
                known.generations.asked(note.id, *generation);
                for (of, offset) in offsets {
                    known.commits.entry(of.clone()).or_default().asked(note.id, Some(*offset), kept_until);
                }
            }
            GroupWord::Forget { partitions, .. } => {
                let meant = |of: &TopicPartition| partitions.as_ref().is_none_or(|some| some.contains(of));
                let commits = known.commits.iter_mut().filter(|(of, _)| meant(of));
                commits.for_each(|(_, commits)| commits.asked(note.id, None, kept_until));
            }
        }
    }

    fn answered(&mut self, note: &GroupNote) -> Held {
        let Some(known) = self.by_id.get_mut(note.word.group()) else { return Ok(()) };
        let done = note.said == Said::Done;
        if done {
            known.generations.done(note.id, note.word.group())?;
        }
        let Some(epoch) = known.led_in.get(&note.by).copied() else { return Ok(()) };
        for commits in known.commits.values_mut() {
            if done { commits.done(note.id, epoch) } else { commits.refused(note.id) }
        }
        Ok(())
    }
}

impl Known {
    /// A coordinator, in this epoch, has this of the group.
    fn shown(
        &mut self,
        name: &str,
        epoch: LeaderEpoch,
        group: Option<&Group>,
        (image, now): (&Image, Timestamp),
    ) -> Held {
        self.generations.look(name, epoch, group)?;
        if let Some(group) = group {
            self.owners.look(name, epoch, group)?;
            for of in group.partitions() {
                self.commits.entry(of.clone()).or_default();
            }
        }
        // What was committed for a topic goes with it.
        let topic = |of: &TopicPartition| image.topic(of.topic()).map(|(id, _)| id);
        self.commits.retain(|of, _| topic(of).is_some());
        for (of, commits) in &mut self.commits {
            let shown = group.and_then(|group| group.committed(of, topic(of)));
            commits.look((name, of), epoch, shown.map(|shown| shown.offset), (topic(of), now))?;
        }
        Ok(())
    }
}
