//! The consumer as a member of its group: it joins, assigns if it leads, takes what it is given, and gives up what it has
//! lost. What the application has to hear of it comes out as [`Action::Tell`].

use super::{
    Action, Asked, ConsumerCore, Partition, Purpose, Wanted,
    dividing::{Divided, assign, group_members, partition_count},
};
use crate::{
    assign::{MemberAssignment, MemberSubscription, PROTOCOL_TYPE, RebalanceProtocol},
    bugs::{self, Bug},
    error::{Error, Result},
    rpc::{
        JoinGroupRequest, JoinGroupResponse, Joined, MemberIdentity, MetadataResponse, SyncGroupRequest,
        SyncGroupResponse, TopicMetadata,
    },
    types::{Generation, Instant, TopicPartition},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What has happened to the membership while the consumer was at something else.
#[derive(Debug, Clone)]
pub(in crate::client) enum News {
    /// The group divides its partitions anew.
    Rebalance,
    /// The group does not know the member any more.
    Lost(Error),
}

/// What the application is to be told, before it is so or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Change {
    Assigned,
    Revoked,
    Lost,
}

#[derive(Debug)]
pub(super) struct Membership {
    group: String,
    member_id: String,
    generation: Option<Generation>,
    phase: Phase,
    /// Whether to join anew: what is subscribed to, or what there is to divide, has changed, or another member wants it.
    rejoin: bool,
    lost: bool,
    /// Another consumer has taken its place: it cannot join any more.
    fenced: Option<Error>,
    /// What the group wants it to have, and has not been given up.
    assigned: BTreeSet<TopicPartition>,
    /// What it had in its last generation, for assignors that want to know.
    had: Vec<TopicPartition>,
    /// What this member has divided; `None`: another did.
    divided: Option<Divided>,
    /// The topics that it has told the group.
    subscribed: BTreeSet<String>,
    /// What the broker says of topics.
    topics: BTreeMap<String, TopicMetadata>,
    /// What was given up because the application subscribed anew, in which generation: it goes on there if it comes back in
    /// the next.
    kept: Option<(Generation, BTreeMap<TopicPartition, Partition>)>,
    /// Whether what is given up next is kept so.
    keeps: bool,
    /// Whether the answer to what was sent was looked for in this call.
    awaited: bool,
}

#[derive(Debug)]
enum Phase {
    Outside,
    /// The application is told that what it has goes.
    Leaving(Change),
    /// It waits for the others, and then for the leader.
    Joining,
    Syncing,
    /// It asks for its part next; if it leads, it needs to know before how many partitions there are.
    Dividing(Joined),
    /// The application is told of partitions that move on; others were added.
    Giving {
        removed: Vec<TopicPartition>,
        added: Vec<TopicPartition>,
    },
    /// The application is told of what was added.
    Taking(Vec<TopicPartition>),
    Member,
}

impl Membership {
    pub(super) fn new(group: String) -> Self {
        Self {
            group,
            member_id: String::new(),
            generation: None,
            phase: Phase::Outside,
            rejoin: false,
            lost: false,
            fenced: None,
            assigned: BTreeSet::new(),
            had: Vec::new(),
            divided: None,
            subscribed: BTreeSet::new(),
            topics: BTreeMap::new(),
            kept: None,
            keeps: false,
            awaited: false,
        }
    }

    /// How many partitions these topics have, of those that are there.
    fn partition_counts(&self, topics: &BTreeSet<String>) -> BTreeMap<String, i32> {
        let count = |name: &String| Some((name.clone(), partition_count(self.topics.get(name)?)));
        topics.iter().filter_map(count).collect()
    }

    /// The group does not know the member any more, or not in this generation, or has another one in its place.
    fn lose(&mut self, error: Error) {
        match error {
            Error::IllegalGeneration { .. } => {}
            Error::FencedInstanceId { .. } => self.fenced = Some(error),
            _ => self.member_id.clear(),
        }
        (self.lost, self.phase) = (true, Phase::Member);
    }

    /// Whether the consumer has what the group wants it to have, as far as it knows.
    fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Member) && !self.rejoin && !self.lost
    }
}

impl ConsumerCore {
    /// What is to be done to be a member with partitions; `None`: nothing now.
    pub(super) fn membership_step(&mut self, now: Instant) -> Result<Option<Action>> {
        loop {
            let asks = self.looks_for_topics();
            let Some(membership) = &self.membership else { return Ok(None) };
            match &membership.phase {
                Phase::Member if membership.is_settled() => return Ok(None),
                Phase::Member => self.begin_rebalance(),
                Phase::Outside if membership.fenced.is_some() => {
                    let fenced = membership.fenced.clone();
                    return fenced.map_or(Ok(None), Err);
                }
                Phase::Outside if asks => return Ok(Some(Action::Call(self.ask_for_topics()))),
                Phase::Outside => return Ok(Some(self.join())),
                Phase::Joining | Phase::Syncing => return Ok(self.await_answer(now)),
                Phase::Dividing(_) if asks => return Ok(Some(Action::Call(self.ask_for_topics()))),
                Phase::Dividing(_) => return self.divide().map(Some),
                Phase::Leaving(change) => {
                    let (change, partitions) = (*change, self.assignment());
                    return Ok(Some(Action::Tell(change, partitions)));
                }
                Phase::Giving { removed, .. } => {
                    return Ok(Some(Action::Tell(Change::Revoked, removed.clone())));
                }
                Phase::Taking(_) if asks => return Ok(Some(Action::Call(self.ask_for_topics()))),
                Phase::Taking(_) if !self.tells => self.told(),
                // It is for a poll to tell.
                Phase::Taking(_) if self.asks_for == Purpose::Membership => return Ok(None),
                Phase::Taking(added) => return Ok(Some(Action::Tell(Change::Assigned, added.clone()))),
            }
        }
    }

    /// From a member to one that joins anew. Who follows the eager protocol gives up all before.
    fn begin_rebalance(&mut self) {
        let eager = self.config.assignors.protocol() == RebalanceProtocol::Eager;
        let has_some = !self.partitions.is_empty();
        let Some(membership) = &mut self.membership else { return };
        let lost = std::mem::take(&mut membership.lost);
        membership.rejoin = false;
        membership.phase = match (lost, eager) {
            (true, _) if has_some => Phase::Leaving(Change::Lost),
            (false, true) if has_some => Phase::Leaving(Change::Revoked),
            _ => Phase::Outside,
        };
        if lost {
            membership.generation = None;
        }
    }

    fn join(&mut self) -> Action {
        let topics = self.subscribed_topics();
        // Nothing, where the protocol is eager: it was given up before.
        let owned: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        let Self { config, membership: Some(membership), .. } = self else {
            return Action::Located;
        };
        membership.subscribed.clone_from(&topics);
        let generation = membership.generation.map(|generation| generation.0);
        let had = &membership.had;
        let subscription = |assignor: &Arc<dyn crate::assign::Assignor>| {
            let subscription = MemberSubscription {
                topics: topics.clone(),
                user_data: assignor.user_data(had, generation),
                owned: owned.clone(),
                generation,
                rack: None,
            };
            (assignor.name().to_owned(), subscription.encode().into())
        };
        let request = JoinGroupRequest {
            group: membership.group.clone(),
            member_id: membership.member_id.clone(),
            instance_id: config.group_instance_id.clone(),
            client_id: config.client_id.clone().unwrap_or_else(|| "consumer".to_owned()),
            session_timeout: config.session_timeout,
            rebalance_timeout: config.max_poll_interval,
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: config.assignors.iter().map(subscription).collect(),
            requires_known_member_id: true,
            notify: None,
        };
        (membership.phase, membership.awaited, membership.rejoin) = (Phase::Joining, false, false);
        Action::Send(request.into())
    }

    /// Waits for what was sent, once a call if the time is up.
    fn await_answer(&mut self, now: Instant) -> Option<Action> {
        let until = match self.asks_for {
            Purpose::Records { until, .. } => until,
            _ => now,
        };
        let membership = self.membership.as_mut()?;
        if std::mem::replace(&mut membership.awaited, true) && now >= until {
            return Some(match self.asks_for {
                Purpose::Records { .. } => Action::Deliver(super::Records::default()),
                _ => Action::Located,
            });
        }
        Some(Action::Await(until))
    }

    /// A call begins: what was sent may have been answered since.
    pub(super) fn look_for_answer(&mut self) {
        if let Some(membership) = &mut self.membership {
            membership.awaited = false;
        }
    }

    pub(super) fn join_answered(&mut self, answer: JoinGroupResponse) -> Result<()> {
        let Some(membership) = self.membership.as_mut().filter(|m| matches!(m.phase, Phase::Joining)) else {
            return Err(Error::IllegalState("an answer to a join that nobody asked for".to_owned()));
        };
        let joined = match answer {
            JoinGroupResponse::MemberIdRequired(member_id) => {
                (membership.member_id, membership.phase) = (member_id, Phase::Outside);
                return Ok(());
            }
            JoinGroupResponse::Joined(joined) => joined,
        };
        membership.member_id.clone_from(&joined.member_id);
        membership.generation = Some(joined.generation);
        membership.divided = None;
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        membership.phase = Phase::Dividing(Joined { skip_assignment: !leads, ..joined });
        // What the others subscribe to has to be known, too.
        self.relist |= leads;
        self.changed = true;
        Ok(())
    }

    /// As the leader, says who gets what; then, as any member, asks for its own.
    fn divide(&mut self) -> Result<Action> {
        let Self { config, membership: Some(membership), .. } = self else {
            return Err(Error::IllegalState("a consumer without a group".to_owned()));
        };
        let Phase::Dividing(joined) = std::mem::replace(&mut membership.phase, Phase::Syncing) else {
            return Err(Error::IllegalState("nothing to divide".to_owned()));
        };
        membership.awaited = false;
        let mut assignments = Vec::new();
        if !joined.skip_assignment {
            let members = group_members(&joined.members);
            let topics: BTreeSet<String> = members.iter().flat_map(|member| member.topics.clone()).collect();
            let partitions = membership.partition_counts(&topics);
            let assigned = assign(&config.assignors, &joined.protocol, &partitions, &members);
            // The next call tries again: nothing was sent that an answer could come to.
            assignments = assigned.inspect_err(|_| membership.phase = Phase::Outside)?;
            membership.divided = Some(Divided { topics, partitions });
        }
        let request = SyncGroupRequest {
            group: membership.group.clone(),
            member: MemberIdentity {
                member_id: joined.member_id,
                generation: joined.generation,
                instance_id: config.group_instance_id.clone(),
            },
            protocol: joined.protocol,
            assignments,
        };
        Ok(Action::Send(request.into()))
    }

    pub(super) fn sync_answered(&mut self, answer: &SyncGroupResponse) -> Result<()> {
        let Some(membership) = self.membership.as_mut().filter(|m| matches!(m.phase, Phase::Syncing)) else {
            return Err(Error::IllegalState("an answer to a sync that nobody asked for".to_owned()));
        };
        let assigned = match &*answer.assignment {
            [] => BTreeSet::new(),
            bytes => {
                let decoded = MemberAssignment::decode(bytes);
                let decoded = decoded.inspect_err(|_| membership.phase = Phase::Outside);
                let wrong = |error: crate::assign::MalformedProtocol| Error::IllegalState(error.to_string());
                decoded.map_err(wrong)?.partitions.into_iter().collect::<BTreeSet<_>>()
            }
        };
        let removed: Vec<_> = self.partitions.keys().filter(|of| !assigned.contains(*of)).cloned().collect();
        let added: Vec<_> =
            assigned.iter().filter(|of| !self.partitions.contains_key(*of)).cloned().collect();
        membership.had = assigned.iter().cloned().collect();
        membership.assigned = assigned;
        membership.phase =
            if removed.is_empty() { Phase::Taking(added) } else { Phase::Giving { removed, added } };
        // What the application has not given up to anybody goes on where it was.
        let kept = membership.kept.take();
        let kept = kept.filter(|(then, _)| membership.generation == Some(then.next()));
        let back = kept.map(|(_, kept)| kept).unwrap_or_default().into_iter();
        let back = back.filter(|(of, _)| membership.assigned.contains(of));
        self.partitions.extend(back.map(|(of, partition)| (of, Partition { buffer: None, ..partition })));
        // Of topics that are not known the broker is asked before.
        self.take_assigned();
        self.forget_last_commit();
        Ok(())
    }

    /// What was sent was refused.
    pub(super) fn membership_refused(&mut self, error: Error) -> Result<()> {
        let Some(membership) = &mut self.membership else { return Err(error) };
        match error {
            Error::RebalanceInProgress { .. } => membership.phase = Phase::Member,
            error @ (Error::UnknownMemberId { .. }
            | Error::IllegalGeneration { .. }
            | Error::FencedInstanceId { .. }) => {
                membership.lose(error);
                self.changed = true;
            }
            other => {
                // The next call tries again.
                membership.phase = Phase::Outside;
                return Err(other);
            }
        }
        membership.rejoin = true;
        Ok(())
    }

    /// Whether an answer to what was sent is awaited, so that an error is one to that.
    pub(super) fn awaits_group(&self) -> bool {
        let awaits = |m: &Membership| matches!(m.phase, Phase::Joining | Phase::Syncing);
        matches!(self.asked, Asked::Nothing) && self.membership.as_ref().is_some_and(awaits)
    }

    /// Takes in what has happened meanwhile.
    pub(in crate::client) fn hear(&mut self, news: News) {
        let Some(membership) = &mut self.membership else { return };
        match news {
            // Who is about to join answers it by that. One that has joined may have been given its part before it began.
            News::Rebalance => {
                membership.rejoin |= !matches!(membership.phase, Phase::Outside | Phase::Leaving(_));
            }
            News::Lost(error) => {
                membership.lose(error);
                self.changed = true;
            }
        }
    }

    /// The application was told: now it is so.
    pub(in crate::client) fn told(&mut self) {
        let Some(membership) = &mut self.membership else { return };
        self.changed = true;
        match std::mem::replace(&mut membership.phase, Phase::Member) {
            Phase::Leaving(change) => {
                membership.phase = Phase::Outside;
                let partitions = std::mem::take(&mut self.partitions);
                let keeps = std::mem::take(&mut membership.keeps) && change == Change::Revoked;
                membership.kept = membership.generation.filter(|_| keeps).map(|at| (at, partitions));
                membership.assigned.clear();
                if change == Change::Lost {
                    membership.had.clear();
                }
            }
            Phase::Giving { removed, added } => {
                self.partitions.retain(|of, _| !removed.contains(of));
                membership.phase = Phase::Taking(added);
                // What was given up goes to others in another rebalance (rule 51).
                membership.rejoin = true;
            }
            Phase::Taking(_) | Phase::Member => {}
            other => membership.phase = other,
        }
    }

    /// Has the partitions that are assigned, and only those of topics that are there.
    fn take_assigned(&mut self) {
        let Self { membership: Some(membership), partitions, .. } = self else { return };
        let Membership { assigned, topics, .. } = membership;
        let giving = match &membership.phase {
            Phase::Giving { removed, .. } => removed.as_slice(),
            _ => &[],
        };
        let mut before = std::mem::take(partitions);
        let mut unknown = false;
        for of in assigned.iter().chain(giving) {
            let there = topics.get(of.topic());
            unknown |= there.is_none();
            let number = usize::try_from(of.partition()).ok();
            let partition = there.zip(number).and_then(|(topic, number)| topic.partitions.get(number));
            if let Some(partition) = partition {
                partitions.insert(of.clone(), Partition::learnt(partition, before.remove(of)));
            }
        }
        self.relist |= unknown;
        self.changed = true;
    }

    /// The topics to ask a broker for; `None`: all.
    pub(super) fn group_names(&self) -> Option<Vec<String>> {
        let membership = self.membership.as_ref()?;
        let Wanted::Topics(wanted) = &self.wanted else { return None };
        let mut names = wanted.clone();
        names.extend(membership.assigned.iter().map(|of| of.topic().to_owned()));
        names.extend(membership.divided.iter().flat_map(|divided| divided.topics.iter().cloned()));
        if let Phase::Dividing(joined) = &membership.phase {
            names.extend(group_members(&joined.members).into_iter().flat_map(|member| member.topics));
        }
        Some(names.into_iter().collect())
    }

    /// The topics that it subscribes to: those that are named, or those of the broker's that match.
    fn subscribed_topics(&self) -> BTreeSet<String> {
        match (&self.wanted, &self.membership) {
            (Wanted::Topics(topics), _) => topics.clone(),
            (Wanted::Matching(pattern), Some(membership)) => {
                membership.topics.keys().filter(|name| pattern.matches(name)).cloned().collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// Takes in what a broker says of topics, and joins anew if that changes what there is to divide.
    pub(super) fn learn_as_member(&mut self, metadata: MetadataResponse) {
        self.metadata_version = self.metadata_version.max(metadata.version);
        let gone = std::mem::take(&mut self.gone);
        let Some(membership) = &mut self.membership else { return };
        let topics = metadata.topics.into_iter().map(|topic| (topic.name.to_string(), topic));
        membership.topics = topics.collect();
        self.gone = gone.into_iter().filter(|name| !membership.topics.contains_key(name)).collect();
        // The application is told of those that it has named, each once.
        let is_named = matches!(self.wanted, Wanted::Topics(_));
        let read = self.partitions.keys().map(|of| of.topic().to_owned());
        let vanished: BTreeSet<String> = read.filter(|name| !membership.topics.contains_key(name)).collect();
        let untold = vanished.into_iter().filter(|name| is_named && self.gone.insert(name.clone()));
        self.untold.extend(untold);
        let stale = |of: &Divided| membership.partition_counts(&of.topics) != of.partitions;
        let stale = membership.divided.as_ref().is_some_and(stale);
        let is_member = matches!(membership.phase, Phase::Member);
        let before = is_member.then(|| membership.subscribed.clone());
        let others_match = before.is_some_and(|before| before != self.subscribed_topics());
        self.take_assigned();
        // A partition of a topic that is gone stays assigned until the group has divided anew.
        if let Some(membership) = &mut self.membership {
            membership.rejoin |= stale && !bugs::is(Bug::MissNewPartitions) || others_match;
        }
        // What is unknown by now is not there.
        self.relist = false;
    }

    /// Whether the group is about to divide its partitions anew, or has, and the consumer has not got its part.
    pub(in crate::client) fn is_rebalancing(&self) -> bool {
        let told_or_not = |phase: &Phase| matches!(phase, Phase::Member | Phase::Taking(_));
        self.membership.as_ref().is_some_and(|m| !told_or_not(&m.phase) || m.rejoin || m.lost)
    }

    /// Who the consumer is in its group, if it is a member.
    pub(in crate::client) fn identity(&self) -> Option<MemberIdentity> {
        let membership = self.membership.as_ref().filter(|membership| !membership.lost)?;
        Some(MemberIdentity {
            member_id: membership.member_id.clone(),
            generation: membership.generation?,
            instance_id: self.config.group_instance_id.clone(),
        })
    }

    /// Whether it is, or is to be, a member of a group.
    pub(in crate::client) fn is_member(&self) -> bool {
        self.membership.is_some()
    }

    /// Reads other topics as a member: the group divides anew. What stays goes on where it is.
    pub(in crate::client) fn subscribe_anew(&mut self, wanted: Wanted) -> Result<()> {
        if matches!(wanted, Wanted::Partitions(_)) {
            return Err(Self::not_a_subscription());
        }
        (self.wanted, self.relist) = (wanted, true);
        if let Some(membership) = &mut self.membership {
            (membership.rejoin, membership.keeps) = (true, true);
        }
        Ok(())
    }
}
