//! There is one controller in a term.

use super::{Held, broken};
use crate::types::BrokerId;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Controllers(BTreeMap<u64, BrokerId>);

impl Controllers {
    /// The broker controls in that term, if in any.
    pub(super) fn look(&mut self, id: BrokerId, term: Option<u64>) -> Held {
        let Some(term) = term else { return Ok(()) };
        match *self.0.entry(term).or_insert(id) {
            first if first == id => Ok(()),
            first => Err(broken(
                "one controller per term",
                format_args!("brokers {first} and {id} control in term {term}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_controllers_in_one_term_are_seen_and_those_of_two_terms_are_fine() {
        let mut controllers = Controllers::default();
        let mut controls = |id: i32, term| controllers.look(id.into(), term).is_ok();
        assert!(controls(1, Some(4)) && controls(2, None) && controls(2, Some(5)));
        assert!(controls(1, Some(4)), "one that has not heard of the other yet");
        assert!(!controls(1, Some(5)) && !controls(3, Some(4)));
    }
}
