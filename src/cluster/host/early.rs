//! Members of groups are told at once that a rebalance has begun, which they would learn from the answer to their next heartbeat
//! otherwise. The message goes the way of all answers: it may be late, or not arrive.

use super::Running;
use crate::{
    cluster::post::Post,
    rpc::{JoinGroupRequest, Notify},
    types::BrokerId,
};
use std::sync::{Arc, Weak};

/// Tells a member that is elsewhere.
#[derive(Debug)]
pub(super) struct EarlyWord {
    post: Arc<Post>,
    from: BrokerId,
    member: Weak<dyn Notify>,
}

impl Notify for EarlyWord {
    fn rebalance_began(&self) {
        let member = Weak::clone(&self.member);
        self.post.tell_client(self.from, move || {
            if let Some(member) = member.upgrade() {
                member.rebalance_began();
            }
        });
    }
}

impl Running {
    /// Has a member told by message.
    pub(super) fn tell_by_message(&mut self, join: &mut JoinGroupRequest) {
        let Some(member) = join.notify.take() else { return };
        self.early.retain(|word| word.member.strong_count() > 0);
        let same = |word: &&Arc<EarlyWord>| word.member.ptr_eq(&member);
        let known = self.early.iter().find(same).cloned();
        let word = known.unwrap_or_else(|| {
            let word = Arc::new(EarlyWord { post: Arc::clone(&self.post), from: self.id, member });
            self.early.push(Arc::clone(&word));
            word
        });
        let word: Weak<dyn Notify> = Arc::<EarlyWord>::downgrade(&word) as Weak<dyn Notify>;
        join.notify = Some(word);
    }
}
