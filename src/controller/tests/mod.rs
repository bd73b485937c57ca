//! Single situations, a rule each; [`walk`] has all the others.

mod balance;
mod reassignment;
mod topics;
mod walk;

use super::{image::TopicImage, *};
use crate::{
    config::TopicConfig,
    rpc::{
        AlterPartitionRequest, BrokerHeartbeatRequest, BrokerHeartbeatResponse, Call, CreateTopicRequest,
        ElectLeadersRequest, RegisterBrokerRequest, UnregisterBrokerRequest, metadata_record::PartitionState,
    },
    types::{BrokerEpoch, ElectionType, LeaderEpoch, PartitionEpoch},
};

const SESSION: Duration = Duration::from_secs(9);

fn id(n: i32) -> BrokerId {
    BrokerId::from(n)
}

fn ids(numbers: &[i32]) -> BTreeSet<BrokerId> {
    numbers.iter().copied().map(id).collect()
}

/// A controller, and what became of its records.
struct Kept {
    controller: Controller,
    now: Instant,
    /// Made from the records alone.
    replayed: Image,
    records: Vec<MetadataRecord>,
    incarnations: u64,
}

impl Kept {
    /// With brokers 1 to this, all of them there.
    fn new(brokers: i32) -> Self {
        let mut kept = Self::of(Prng::new(1));
        for n in 1..=brokers {
            kept.start(n, None);
        }
        kept
    }

    fn of(prng: Prng) -> Self {
        let (config, now) = (ControllerConfig::default(), Instant::default());
        let controller = Controller::new(Image::default(), Index(1), config, prng, now);
        Self { controller, now, replayed: Image::default(), records: Vec::new(), incarnations: 0 }
    }

    fn ask<C: Call>(&mut self, request: C) -> Result<C::Answer> {
        let (records, answer) = self.controller.handle(&request.into(), self.now);
        assert!(answer.is_ok() || records.is_empty(), "an error changes nothing");
        self.replay(records);
        C::take(answer?)
    }

    fn replay(&mut self, records: Vec<MetadataRecord>) {
        records.iter().for_each(|record| self.replayed.apply(record));
        self.records.extend(records);
        assert_eq!(self.replayed, self.controller.image, "the records say all");
    }

    /// The others beat; who is named does not.
    fn advance(&mut self, by: Duration, silent: &[i32]) {
        let until = self.now.plus(by);
        while self.now < until {
            self.now = self.now.plus(Duration::from_secs(1)).min(until);
            let active: Vec<BrokerId> = self.controller.sessions.keys().copied().collect();
            for broker in active.iter().filter(|broker| !silent.contains(&broker.get())) {
                self.beat(broker.get(), false).unwrap();
            }
            let records = self.controller.tick(self.now);
            self.replay(records);
            assert!(self.controller.next_deadline() > self.now);
        }
    }

    fn fence(&mut self, silent: &[i32]) {
        self.advance(SESSION, silent);
        silent.iter().for_each(|n| assert!(self.controller.image.brokers[&id(*n)].fenced));
    }

    fn epoch(&self, n: i32) -> BrokerEpoch {
        self.controller.image.brokers[&id(n)].epoch
    }

    /// A new process of a broker.
    fn register(&mut self, n: i32, previous_epoch: Option<BrokerEpoch>) -> BrokerEpoch {
        self.incarnations += 1;
        let request = RegisterBrokerRequest { id: id(n), incarnation: self.incarnations, previous_epoch };
        self.ask(request).unwrap().epoch
    }

    fn beat(&mut self, n: i32, wants_shutdown: bool) -> Result<BrokerHeartbeatResponse> {
        let caught_up_to = Offset::new(self.controller.next.0 as i64 - 1);
        self.ask(BrokerHeartbeatRequest { id: id(n), epoch: self.epoch(n), caught_up_to, wants_shutdown })
    }

    fn start(&mut self, n: i32, previous_epoch: Option<BrokerEpoch>) {
        self.register(n, previous_epoch);
        assert!(!self.beat(n, false).unwrap().fenced);
    }

    /// A broker comes back with all that it had.
    fn come_back(&mut self, n: i32) {
        let epoch = self.epoch(n);
        self.start(n, Some(epoch));
    }

    /// A topic `t` of one partition, led by the first of its replicas.
    fn topic(&mut self, replicas: &[i32], config: TopicConfig) {
        let count = replicas.len() as i16;
        let config = config.replication_factor(count);
        let topic = self.ask(CreateTopicRequest { name: "t".to_owned(), config }).unwrap().id;
        let state = PartitionState {
            replicas: replicas.iter().copied().map(id).collect(),
            isr: ids(replicas),
            leader: Some(id(replicas[0])),
            ..self.partition().clone()
        };
        let record = MetadataRecord::Partition { topic, partition: 0, state };
        self.controller.image.apply(&record);
        self.replay(vec![record]);
    }

    fn partition(&self) -> &PartitionState {
        &self.controller.image.topic("t").unwrap().1.partitions[&0]
    }

    /// The leader, the ISR and the ELR.
    fn who(&self) -> (Option<i32>, Vec<i32>, Vec<i32>) {
        let state = self.partition();
        let numbers = |of: &BTreeSet<BrokerId>| of.iter().map(|broker| broker.get()).collect();
        (state.leader.map(BrokerId::get), numbers(&state.isr), numbers(&state.elr))
    }

    fn epochs(&self) -> (i32, i32) {
        (self.partition().leader_epoch.0, self.partition().partition_epoch.0)
    }

    /// What the leader would ask for.
    fn alter(&self, isr: &[i32]) -> AlterPartitionRequest {
        let (topic_id, _) = self.controller.image.topic("t").unwrap();
        let state = self.partition();
        let broker = state.leader.unwrap();
        AlterPartitionRequest {
            broker,
            broker_epoch: self.epoch(broker.get()),
            topic_id,
            partition: 0,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            new_isr: isr.iter().map(|n| (id(*n), Some(self.epoch(*n)))).collect(),
        }
    }

    fn elect(&mut self, election: ElectionType) -> Result<()> {
        self.ask(ElectLeadersRequest { topic: "t".to_owned(), partition: 0, election }).map(drop)
    }
}

fn safe() -> TopicConfig {
    TopicConfig::new().min_insync_replicas(2)
}

#[test]
fn a_broker_is_fenced_until_it_has_applied_its_own_registration() {
    let mut kept = Kept::new(2);
    let epoch = kept.register(3, None);
    assert!(epoch > kept.epoch(2));
    let beat = |to| BrokerHeartbeatRequest {
        id: id(3),
        epoch,
        caught_up_to: Offset::new(to),
        wants_shutdown: false,
    };
    assert!(kept.ask(beat(epoch.0 - 1)).unwrap().fenced);
    assert!(!kept.controller.image.is_active(id(3)));
    assert!(!kept.ask(beat(epoch.0)).unwrap().fenced);
    assert!(kept.controller.image.is_active(id(3)));
}

#[test]
fn the_same_process_gets_the_same_epoch_and_another_one_a_later() {
    let mut kept = Kept::new(1);
    let (epoch, incarnation) = (kept.epoch(1), kept.incarnations);
    let again = RegisterBrokerRequest { id: id(1), incarnation, previous_epoch: None };
    assert_eq!(kept.ask(again).unwrap().epoch, epoch);
    assert!(kept.controller.image.is_active(id(1)));
    assert!(kept.register(1, Some(epoch)) > epoch);
    let late =
        BrokerHeartbeatRequest { id: id(1), epoch, caught_up_to: Offset::new(99), wants_shutdown: false };
    assert!(matches!(kept.ask(late), Err(Error::StaleBrokerEpoch)));
}

#[test]
fn a_new_controller_gives_whole_sessions() {
    let mut kept = Kept::new(2);
    kept.advance(Duration::from_secs(8), &[1, 2]);
    let (image, next, prng) = (kept.controller.image.clone(), kept.controller.next, Prng::new(2));
    kept.controller = Controller::new(image, next, ControllerConfig::default(), prng, kept.now);
    kept.advance(Duration::from_secs(8), &[1, 2]);
    assert!(kept.controller.image.is_active(id(1)));
    kept.fence(&[1, 2]);
}

#[test]
fn a_fenced_follower_leaves_the_isr_and_the_leader_stays() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], TopicConfig::new());
    let (leader, partition) = kept.epochs();
    kept.fence(&[2]);
    assert_eq!(kept.who(), (Some(1), vec![1, 3], vec![]));
    assert_eq!(kept.epochs(), (leader, partition + 1));
    kept.come_back(2);
    assert_eq!(kept.who(), (Some(1), vec![1, 3], vec![]), "it has to catch up first");
}

#[test]
fn the_first_live_member_of_the_isr_in_replica_order_leads() {
    let mut kept = Kept::new(4);
    kept.topic(&[4, 2, 3, 1], TopicConfig::new());
    let (leader, partition) = kept.epochs();
    kept.ask(kept.alter(&[4, 3, 1])).unwrap();
    kept.fence(&[4]);
    assert_eq!(kept.who(), (Some(3), vec![1, 3], vec![]));
    assert_eq!(kept.epochs(), (leader + 1, partition + 2));
}

#[test]
fn the_last_member_of_an_isr_stays_in_it_and_leads_again() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], TopicConfig::new());
    kept.fence(&[2]);
    kept.fence(&[1]);
    assert_eq!(kept.who(), (None, vec![1], vec![]));
    kept.come_back(2);
    assert_eq!(kept.who(), (None, vec![1], vec![]), "it may lack what 1 acknowledged alone");
    kept.come_back(1);
    assert_eq!(kept.who(), (Some(1), vec![1], vec![]));
}

#[test]
fn those_that_fall_silent_together_do_not_lead_in_between() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], TopicConfig::new());
    let (leader, _) = kept.epochs();
    kept.fence(&[1, 2]);
    assert_eq!((kept.who(), kept.epochs().0), ((Some(3), vec![3], vec![]), leader + 1));
}

#[test]
fn who_leaves_an_isr_below_the_minimum_is_eligible_and_leads_when_nobody_in_sync_is_there() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], safe());
    kept.fence(&[3]);
    assert_eq!(kept.who(), (Some(1), vec![1, 2], vec![]), "two are enough");
    kept.fence(&[2]);
    assert_eq!(kept.who(), (Some(1), vec![1], vec![2]));
    kept.fence(&[1]);
    assert_eq!(kept.who(), (None, vec![1], vec![2]));
    kept.come_back(3);
    assert_eq!(kept.who(), (None, vec![1], vec![2]), "it left before");
    kept.come_back(2);
    assert_eq!(kept.who(), (Some(2), vec![2], vec![1]));
    kept.ask(kept.alter(&[2, 3])).unwrap();
    assert_eq!(kept.who(), (Some(2), vec![2, 3], vec![]), "what is acknowledged now 1 does not have");
}

#[test]
fn a_minimum_above_the_number_of_replicas_counts_as_all() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], TopicConfig::new().min_insync_replicas(3));
    kept.fence(&[2]);
    assert_eq!(kept.who(), (Some(1), vec![1], vec![2]));
    kept.come_back(2);
    kept.ask(kept.alter(&[1, 2])).unwrap();
    assert_eq!(kept.who(), (Some(1), vec![1, 2], vec![]));
}

#[test]
fn who_has_lost_its_data_is_neither_in_sync_nor_eligible() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], safe());
    kept.start(3, None);
    assert_eq!(kept.who(), (Some(1), vec![1, 2], vec![]));
    kept.fence(&[2]);
    kept.start(2, Some(BrokerEpoch(1)));
    assert_eq!(kept.who(), (Some(1), vec![1], vec![]), "another epoch's");
    kept.register(1, None);
    assert_eq!(kept.who(), (None, vec![], vec![]));
}

#[test]
fn a_registration_that_came_to_nothing_does_not_count_as_lost_data() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], safe());
    kept.fence(&[1]);
    assert_eq!(kept.who(), (Some(2), vec![2], vec![1]));
    let epoch = kept.epoch(1);
    kept.register(1, Some(epoch));
    kept.start(1, Some(epoch));
    assert_eq!(kept.who(), (Some(2), vec![2], vec![1]), "it was not there in between");
    kept.register(1, Some(epoch));
    assert_eq!(kept.who(), (Some(2), vec![2], vec![]), "now it was");
}

#[test]
fn the_last_known_leader_alone_leads_again_when_all_have_lost_their_data() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], safe());
    kept.fence(&[2]);
    kept.fence(&[1]);
    kept.start(2, None);
    assert_eq!(kept.who(), (None, vec![1], vec![]));
    kept.register(1, None);
    assert_eq!(kept.who(), (None, vec![], vec![]));
    kept.fence(&[2]);
    kept.come_back(2);
    assert_eq!(kept.who(), (None, vec![], vec![]), "it lacks more");
    kept.beat(1, false).unwrap();
    assert_eq!(kept.who(), (Some(1), vec![1], vec![]));
    assert_eq!(kept.partition().last_known_leader, None);
}

#[test]
fn an_unclean_leader_comes_only_where_the_topic_allows_it() {
    for allowed in [false, true] {
        let mut kept = Kept::new(2);
        kept.topic(&[1, 2], TopicConfig::new().unclean_leader_election(allowed));
        kept.ask(kept.alter(&[1])).unwrap();
        kept.fence(&[1]);
        let who = if allowed { (Some(2), vec![2], vec![]) } else { (None, vec![1], vec![]) };
        assert_eq!(kept.who(), who);
    }
}

#[test]
fn an_operator_may_have_an_unclean_leader_where_nobody_leads() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], TopicConfig::new());
    kept.ask(kept.alter(&[1])).unwrap();
    assert!(matches!(kept.elect(ElectionType::Unclean), Err(Error::ElectionNotNeeded)));
    kept.fence(&[1, 2]);
    assert!(matches!(kept.elect(ElectionType::Unclean), Err(Error::EligibleLeadersNotAvailable)));
    kept.come_back(2);
    kept.elect(ElectionType::Unclean).unwrap();
    assert_eq!(kept.who(), (Some(2), vec![2], vec![]));
}

#[test]
fn the_preferred_leader_leads_when_it_is_asked_for_and_in_sync() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], TopicConfig::new());
    assert!(matches!(kept.elect(ElectionType::Preferred), Err(Error::ElectionNotNeeded)));
    kept.fence(&[1]);
    kept.come_back(1);
    assert!(matches!(kept.elect(ElectionType::Preferred), Err(Error::PreferredLeaderNotAvailable)));
    kept.ask(kept.alter(&[1, 2, 3])).unwrap();
    let (leader, partition) = kept.epochs();
    kept.elect(ElectionType::Preferred).unwrap();
    assert_eq!(kept.who(), (Some(1), vec![1, 2, 3], vec![]));
    assert_eq!(kept.epochs(), (leader + 1, partition + 1));
}

#[test]
fn a_leader_alters_its_isr_only_if_it_knows_how_things_are() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], TopicConfig::new());
    kept.ask(kept.alter(&[1, 2])).unwrap();
    kept.fence(&[1]);
    let right = kept.alter(&[2]);
    let mut refused = |change: fn(&mut AlterPartitionRequest)| {
        let mut request = right.clone();
        change(&mut request);
        kept.ask(request).unwrap_err()
    };
    let epoch = refused(|r| r.broker_epoch = BrokerEpoch(r.broker_epoch.0 - 1));
    assert!(matches!(epoch, Error::StaleBrokerEpoch));
    let leader = refused(|r| r.leader_epoch = LeaderEpoch(r.leader_epoch.0 - 1));
    assert!(matches!(leader, Error::FencedLeaderEpoch));
    let later = refused(|r| r.leader_epoch = LeaderEpoch(r.leader_epoch.0 + 1));
    assert!(matches!(later, Error::NotController));
    let later = refused(|r| r.partition_epoch = PartitionEpoch(r.partition_epoch.0 + 1));
    assert!(matches!(later, Error::NotController));
    let state = refused(|r| r.partition_epoch = PartitionEpoch(r.partition_epoch.0 - 1));
    assert!(matches!(state, Error::InvalidUpdateVersion));
    let topic = refused(|r| r.topic_id = TopicId::from_bytes([9; 16]));
    assert!(matches!(topic, Error::UnknownTopicId { .. }));
    let partition = refused(|r| r.partition = 7);
    assert!(matches!(partition, Error::UnknownTopicOrPartition { .. }));
    for isr in [&[3][..], &[2, 9], &[2, 2]] {
        let mut request = right.clone();
        request.new_isr = isr.iter().map(|n| (id(*n), None)).collect();
        assert!(matches!(kept.ask(request), Err(Error::IllegalState(_))), "{isr:?}");
    }
    let (leader, partition) = kept.epochs();
    kept.ask(kept.alter(&[2, 3])).unwrap();
    assert_eq!(kept.epochs(), (leader, partition + 1));
    assert_eq!(kept.ask(kept.alter(&[2, 3])).unwrap().partition_epoch.0, partition + 1, "nothing new");
}

#[test]
fn rule_56_who_is_fenced_shuts_down_or_has_registered_anew_does_not_join_the_isr() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], TopicConfig::new());
    kept.ask(kept.alter(&[1, 2])).unwrap();
    let before = kept.alter(&[1, 2, 3]);
    kept.come_back(3);
    assert!(matches!(kept.ask(before), Err(Error::IneligibleReplica)), "registered anew");
    kept.fence(&[3]);
    assert!(matches!(kept.ask(kept.alter(&[1, 2, 3])), Err(Error::IneligibleReplica)), "fenced");
    kept.come_back(3);
    kept.topic_led_by_3();
    assert!(!kept.beat(3, true).unwrap().may_shut_down);
    assert!(matches!(kept.ask(kept.alter(&[1, 2, 3])), Err(Error::IneligibleReplica)), "shuts down");
}

impl Kept {
    /// Something that keeps broker 3 from going at once.
    fn topic_led_by_3(&mut self) {
        let config = TopicConfig::new().partitions(3).replication_factor(3);
        self.ask(CreateTopicRequest { name: "other".to_owned(), config }).unwrap();
    }
}

#[test]
fn a_broker_that_shuts_down_goes_when_its_leaders_have_moved_and_all_know() {
    let mut kept = Kept::new(3);
    kept.topic(&[1, 2, 3], safe());
    let before = Offset::new(kept.controller.next.0 as i64 - 1);
    let answer = kept.beat(1, true).unwrap();
    assert_eq!(answer, BrokerHeartbeatResponse { fenced: false, may_shut_down: false });
    assert_eq!(kept.who(), (Some(2), vec![2, 3], vec![]));
    let epoch = kept.epoch(2);
    let behind = BrokerHeartbeatRequest { id: id(2), epoch, caught_up_to: before, wants_shutdown: false };
    kept.ask(behind).unwrap();
    kept.beat(3, false).unwrap();
    assert!(!kept.beat(1, true).unwrap().may_shut_down, "2 does not know");
    kept.beat(2, false).unwrap();
    assert!(kept.beat(1, true).unwrap().may_shut_down);
    assert!(kept.controller.image.brokers[&id(1)].fenced);
    kept.come_back(1);
    assert_eq!(kept.who(), (Some(2), vec![2, 3], vec![]));
}

#[test]
fn a_broker_that_leads_nothing_shuts_down_at_once() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], TopicConfig::new());
    assert!(kept.beat(2, true).unwrap().may_shut_down);
    assert_eq!(kept.who(), (Some(1), vec![1], vec![]));
    let answer = kept.beat(2, true).unwrap();
    assert_eq!(answer, BrokerHeartbeatResponse { fenced: true, may_shut_down: true });
}
