use crate::{Payment, SETTLED};
use brooklet::{Client, Consumer, ConsumerConfig, Result};
use std::{collections::BTreeMap, time::Duration};

/// What has been settled, as `settled` says.
#[derive(Debug)]
pub struct Ledger {
    events: Consumer,
    /// Where the event of each id is: its partition and offset.
    settled: BTreeMap<String, (i32, i64)>,
    balances: BTreeMap<String, i64>,
    duplicates: Vec<Payment>,
}

impl Ledger {
    /// All that there is so far.
    ///
    /// # Errors
    /// Those of [`catch_up`](Self::catch_up).
    pub fn open(client: &Client) -> Result<Self> {
        let events = client.consumer(ConsumerConfig::standalone()).subscribe(SETTLED)?;
        let (settled, balances, duplicates) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut ledger = Self { events, settled, balances, duplicates };
        ledger.catch_up()?;
        Ok(ledger)
    }

    /// Reads on, to the end.
    ///
    /// # Errors
    /// Those of [`Consumer::poll`].
    pub fn catch_up(&mut self) -> Result<()> {
        while !self.events.is_caught_up()? {
            for event in &self.events.poll(Duration::from_millis(100))? {
                if let Some(payment) = Payment::read(event) {
                    self.note(payment, (event.partition(), event.offset()));
                }
            }
        }
        Ok(())
    }

    /// Takes in an event. It may come twice from the same place: from the one who has written it, and from the log.
    pub(crate) fn note(&mut self, payment: Payment, at: (i32, i64)) {
        match self.settled.get(&payment.id) {
            Some(known) if *known == at => {}
            Some(_) => self.duplicates.push(payment),
            None => {
                *self.balances.entry(payment.account).or_default() += payment.cents;
                self.settled.insert(payment.id, at);
            }
        }
    }

    /// Whether a payment has been settled.
    pub fn is_settled(&self, id: &str) -> bool {
        self.settled.contains_key(id)
    }

    /// How many payments have been settled.
    pub fn len(&self) -> usize {
        self.settled.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty()
    }

    /// What an account has.
    pub fn balance(&self, account: &str) -> i64 {
        self.balances.get(account).copied().unwrap_or_default()
    }

    /// All accounts, and what they have.
    pub fn balances(&self) -> impl Iterator<Item = (&str, i64)> {
        self.balances.iter().map(|(account, cents)| (account.as_str(), *cents))
    }

    /// Events of ids that had one before: they do not count.
    pub fn duplicates(&self) -> &[Payment] {
        &self.duplicates
    }
}
