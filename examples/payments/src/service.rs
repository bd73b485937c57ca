use crate::{GROUP, Ledger, PAYMENTS, Payment, SETTLED};
use brooklet::{Client, Consumer, ConsumerConfig, Error, Record, Records, Result};
use std::time::Duration;

/// Settles payments. Several of them share the accounts: they are one group.
#[derive(Debug)]
pub struct Service {
    client: Client,
    payments: Consumer,
    ledger: Ledger,
    /// The last batch was not committed: it has to come again.
    is_behind: bool,
}

impl Service {
    /// A service that goes on where its group has stopped.
    ///
    /// # Errors
    /// Those of [`Consumer::poll`].
    pub fn start(client: &Client) -> Result<Self> {
        // When one dies its payments wait no longer than this for another one.
        let config = ConsumerConfig::new(GROUP).session_timeout(Duration::from_secs(10));
        let payments = client.consumer(config).subscribe(PAYMENTS)?;
        Ok(Self { client: client.clone(), payments, ledger: Ledger::open(client)?, is_behind: false })
    }

    /// The next payments; after a batch that could not be settled the same ones again. There may be none for now.
    ///
    /// # Errors
    /// Those of [`Consumer::poll`].
    pub fn receive(&mut self) -> Result<Records> {
        if self.is_behind {
            self.payments.seek_to_committed()?;
            self.is_behind = false;
        }
        self.payments.poll(Duration::from_millis(100))
    }

    /// Settles those that are not settled yet, and commits.
    ///
    /// # Errors
    /// Those of [`Client::produce`] and [`Consumer::commit_offsets`]; [fenced](Error::is_fenced) are those whose payments
    /// another service has got meanwhile.
    pub fn settle(&mut self, payments: &Records) -> Result<()> {
        if payments.is_empty() {
            return Ok(());
        }
        self.is_behind = true;
        self.ledger.catch_up()?; // with what others have settled, and what is left of a try that failed
        for record in payments {
            // What is no payment is passed over; it could go to a topic of its own.
            let Some(payment) = Payment::read(record) else { continue };
            if !self.ledger.is_settled(&payment.id) {
                let at = self.client.produce(Record::to(SETTLED).copy_of(record))?;
                self.ledger.note(payment, (at.partition, at.offset));
            }
        }
        self.payments.commit_offsets(payments)?;
        self.is_behind = false;
        Ok(())
    }

    /// Receives and settles.
    ///
    /// # Errors
    /// Those of [`receive`](Self::receive) and [`settle`](Self::settle).
    pub fn step(&mut self) -> Result<()> {
        let payments = self.receive()?;
        self.settle(&payments)
    }

    /// Works until `done` holds. What goes away by itself is tried again.
    ///
    /// # Errors
    /// [`Error::Timeout`] if it does not hold within that time, and those of [`step`](Self::step) that another try does not help against.
    pub fn run_until(&mut self, within: Duration, mut done: impl FnMut(&Self) -> bool) -> Result<()> {
        let until = self.client.now() + within;
        while !done(self) {
            match self.step() {
                _ if self.client.now() >= until => return Err(Error::Timeout),
                // Fenced: others have the payments. It goes on with those that it gets next.
                Err(error) if error.is_retriable() || error.is_fenced() => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Whether there is nothing to settle now.
    ///
    /// # Errors
    /// Those of [`Consumer::is_caught_up`].
    pub fn is_idle(&self) -> Result<bool> {
        Ok(!self.is_behind && self.payments.is_caught_up()?)
    }

    /// What it knows to be settled.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// For tests: as if its process had died.
    pub fn abandon(self) {
        self.payments.abandon();
    }
}
