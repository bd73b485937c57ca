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
