//! Who may commit, and how long what is committed is kept.

use super::*;
use crate::types::OffsetAndMetadata;

#[test]
fn rule_44_first_who_then_of_which_generation() {
    let mut kept = Kept::new();
    let member = kept.stable(1).remove(0);
    let member = identity(&member, None);
    kept.commit(Some(&member), 5).unwrap();
    let old = MemberIdentity { generation: Generation(0), ..member.clone() };
    assert!(matches!(kept.commit(Some(&old), 9), Err(Error::IllegalGeneration { .. })));
    let nobody = MemberIdentity { member_id: "nobody".to_owned(), ..old };
    assert!(matches!(kept.commit(Some(&nobody), 9), Err(Error::UnknownMemberId { .. })));
    kept.leave(&member.member_id).unwrap();
    assert!(matches!(kept.commit(Some(&member), 9), Err(Error::UnknownMemberId { .. })));
    assert_eq!(kept.committed(), Some(5));
}

#[test]
fn rule_45_a_commit_passes_while_members_join_and_not_while_they_wait_for_their_parts() {
    let mut kept = Kept::new();
    let first = kept.stable(1).remove(0);
    let (before, second) = (identity(&first, None), kept.join(""));
    assert_eq!(kept.group.state(), GroupState::PreparingRebalance);
    kept.commit(Some(&before), 5).unwrap();
    let again = kept.join(&first.member_id);
    let (first, second) = (kept.joined(again), kept.joined(second));
    assert_eq!(kept.group.state(), GroupState::CompletingRebalance);
    let now = identity(&first, None);
    assert!(matches!(kept.commit(Some(&now), 6), Err(Error::RebalanceInProgress { .. })));
    assert!(matches!(kept.commit(Some(&before), 6), Err(Error::IllegalGeneration { .. })));
    kept.assign(&[first, second]);
    kept.commit(Some(&now), 6).unwrap();
    assert_eq!(kept.committed(), Some(6));
}

#[test]
fn rule_46_a_commit_from_outside_passes_only_without_members() {
    let mut kept = Kept::new();
    kept.commit(None, 3).unwrap();
    let member = kept.stable(1).remove(0);
    assert!(matches!(kept.commit(None, 4), Err(Error::UnknownMemberId { .. })));
    kept.leave(&member.member_id).unwrap();
    kept.commit(None, 5).unwrap();
    assert_eq!(kept.committed(), Some(5));
}

#[test]
fn rule_48_metadata_is_counted_in_utf16_units() {
    let mut kept = Kept::new();
    let mut commit = |metadata: String| {
        let offsets = Offsets::from([(("t", 0), OffsetAndMetadata::new(1, metadata))]);
        kept.answered(|request| Event::Commit { request, member: None, offsets, topic_ids: BTreeMap::new() })
    };
    let fits = "\u{1f980}".repeat(2048);
    commit(fits.clone()).unwrap();
    assert!(matches!(commit(fits.clone() + "x"), Err(Error::OffsetMetadataTooLarge)));
    assert_eq!(kept.group.committed(&("t", 0).into(), None).unwrap().metadata, fits);
}

#[test]
fn rule_11_offsets_of_an_older_topic_do_not_count_and_go_with_it() {
    let mut kept = Kept::new();
    let (old, new) = (TopicId::from_bytes([1; 16]), TopicId::from_bytes([2; 16]));
    let topic_ids = BTreeMap::from([("t".to_owned(), old)]);
    let offsets = Offsets::from([(("t", 0), 7), (("u", 0), 8)]);
    kept.answered(|request| Event::Commit { request, member: None, offsets, topic_ids }).unwrap();
    assert!(kept.group.committed(&("t", 0).into(), Some(old)).is_some());
    assert!(kept.group.committed(&("t", 0).into(), Some(new)).is_none());
    kept.answered(|request| Event::TopicDeleted { request, topic: "t".to_owned() }).unwrap();
    assert!(kept.group.committed(&("t", 0).into(), None).is_none());
    assert!(kept.group.committed(&("u", 0).into(), None).is_some());
}

#[test]
fn a_commit_that_cannot_be_written_changes_nothing() {
    let mut kept = Kept::new();
    kept.commit(None, 3).unwrap();
    let (request, offsets) = (kept.request(), Offsets::from([(("t", 0), 9)]));
    let event = Event::Commit { request, member: None, offsets, topic_ids: BTreeMap::new() };
    kept.step_writing(event, |_| Err(Error::Timeout));
    assert!(matches!(refused(kept.answer(request)), Error::Timeout));
    assert_eq!(kept.committed(), Some(3));
}

#[test]
fn a_group_is_deleted_only_if_it_is_there_and_has_no_member() {
    let mut kept = Kept::new();
    assert!(matches!(kept.answered(Event::Delete), Err(Error::GroupIdNotFound { .. })));
    let member = kept.stable(1).remove(0);
    assert!(matches!(kept.answered(Event::Delete), Err(Error::NonEmptyGroup { .. })));
    let some = |request| Event::DeleteOffsets { request, partitions: vec![("t", 0).into()] };
    assert!(matches!(kept.answered(some), Err(Error::NonEmptyGroup { .. })));
    kept.leave(&member.member_id).unwrap();
    kept.commit(None, 3).unwrap();
    kept.answered(some).unwrap();
    assert_eq!(kept.committed(), None);
    kept.commit(None, 4).unwrap();
    kept.answered(Event::Delete).unwrap();
    assert!(kept.group.is_gone() && !kept.replayed(1).is_known());
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn expire(kept: &mut Kept) {
    kept.answered(|request| Event::Expire { request, retention: WEEK }).unwrap();
}

#[test]
fn rule_49_offsets_of_a_group_that_emptied_go_after_the_retention_and_the_group_with_them() {
    let mut kept = Kept::new();
    let member = kept.stable(1).remove(0);
    kept.commit(Some(&identity(&member, None)), 5).unwrap();
    // A day at work does not count.
    for _ in 0..24 * 3600 / 5 {
        kept.advance(Duration::from_secs(5));
        kept.heartbeat(&identity(&member, None)).unwrap();
    }
    kept.leave(&member.member_id).unwrap();
    kept.advance(WEEK - Duration::from_secs(1));
    expire(&mut kept);
    assert_eq!(kept.committed(), Some(5));
    kept.advance(Duration::from_secs(1));
    expire(&mut kept);
    assert!(kept.committed().is_none() || kept.group.is_gone());
    assert!(!kept.replayed(1).is_known());
}

#[test]
fn rule_49_offsets_of_a_group_without_members_ever_go_one_by_one() {
    let mut kept = Kept::new();
    kept.commit(None, 5).unwrap();
    kept.advance(WEEK / 2);
    let offsets = Offsets::from([(("u", 0), 8)]);
    kept.answered(|request| Event::Commit { request, member: None, offsets, topic_ids: BTreeMap::new() })
        .unwrap();
    kept.advance(WEEK / 2);
    expire(&mut kept);
    assert!(kept.committed().is_none() && kept.group.partitions().count() == 1);
}

#[test]
fn rule_49_in_a_group_at_work_only_what_nobody_subscribes_to_goes() {
    use crate::assign::MemberSubscription;
    let mut kept = Kept::new();
    let topics = ["t".to_owned()].into();
    let said: Arc<[u8]> = MemberSubscription { topics, ..MemberSubscription::default() }.encode().into();
    let mut join = kept.join_event("", None, &[]);
    join.asked.protocols = vec![("range".to_owned(), said)];
    let member = kept.ask(|request| Event::Join(request, join));
    let member = kept.joined(member);
    kept.assign(std::slice::from_ref(&member));
    let (offsets, member) = (Offsets::from([(("t", 0), 5), (("u", 0), 8)]), identity(&member, None));
    let by = Some(member.clone());
    kept.answered(|request| Event::Commit { request, member: by, offsets, topic_ids: BTreeMap::new() })
        .unwrap();
    for _ in 0..WEEK.as_secs() / 9 - 1 {
        kept.advance(Duration::from_secs(9));
        kept.heartbeat(&member).unwrap();
    }
    expire(&mut kept);
    assert_eq!(kept.group.partitions().count(), 2);
    kept.advance(Duration::from_secs(9));
    expire(&mut kept);
    assert_eq!((kept.committed(), kept.group.partitions().count()), (Some(5), 1));
}
