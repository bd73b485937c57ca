//! What the log keeps of a group is what comes back.

use super::*;

fn state(group: &Group) -> String {
    let Group { state, generation, protocol_type, protocol, leader, members, instances, offsets, .. } = group;
    let members: Vec<_> =
        members.iter().map(|(id, m)| (id, &m.assignment, &m.client_id, m.session_timeout)).collect();
    format!(
        "{state:?} {generation:?} {protocol_type} {protocol:?} {leader:?} {members:?} {instances:?} {offsets:?}"
    )
}

#[test]
fn a_replay_gives_what_there_was_and_twice_the_same() {
    let mut kept = Kept::new();
    assert!(!kept.group.is_known());
    let members = kept.stable(3);
    kept.commit(Some(&identity(&members[0], None)), 5).unwrap();
    assert_eq!(state(&kept.replayed(1)), state(&kept.group));
    assert_eq!(state(&kept.replayed(2)), state(&kept.group));
    for member in &members {
        kept.leave(&member.member_id).unwrap();
    }
    assert_eq!(state(&kept.replayed(1)), state(&kept.group));
    assert_eq!(state(&kept.replayed(2)), state(&kept.group));
}

#[test]
fn a_group_is_noted_when_it_is_made_and_when_it_empties() {
    let mut kept = Kept::new();
    kept.join("");
    let GroupRecord::Metadata(MetadataRecord { metadata: Some(made), .. }) = &kept.log[0] else { panic!() };
    assert_eq!((made.generation, made.members.len(), &*made.protocol_type), (Generation(0), 0, ""));
    let id = kept.group.members()[0].member_id.clone();
    kept.leave(&id).unwrap();
    let GroupRecord::Metadata(MetadataRecord { metadata: Some(emptied), .. }) = &kept.log[1] else {
        panic!()
    };
    assert_eq!((emptied.generation, emptied.members.len()), (Generation(2), 0));
    assert_eq!((&*emptied.protocol_type, &emptied.protocol), ("consumer", &None));
}

#[test]
fn members_that_are_read_back_go_on_or_are_gone_after_their_session() {
    let mut kept = Kept::new();
    let members = kept.stable(2);
    kept.group = kept.replayed(1);
    let lives = identity(&members[0], None);
    kept.advance(SESSION / 2);
    kept.heartbeat(&lives).unwrap();
    kept.advance(SESSION / 2 + Duration::from_secs(1));
    assert_eq!(kept.group.members().len(), 1);
}

#[test]
fn who_lived_with_the_broker_is_gone_with_it() {
    let mut kept = Kept::new();
    let members = kept.stable(2);
    kept.commit(Some(&identity(&members[0], None)), 5).unwrap();
    kept.group = kept.replayed(1);
    kept.group.take_up_alone(kept.at().wall);
    assert_eq!((kept.group.state(), kept.committed()), (GroupState::Empty, Some(5)));
    assert!(matches!(kept.heartbeat(&identity(&members[0], None)), Err(Error::UnknownMemberId { .. })));
    let next = kept.join("");
    assert_eq!(kept.joined(next).generation, Generation(3));
}
