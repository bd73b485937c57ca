use crate::{PAYMENTS, Payment};
use brooklet::{Client, Delivery, Producer, ProducerConfig, Result};

/// Where callers ask for payments.
#[derive(Debug, Clone)]
pub struct Desk {
    // For all replicas in sync, which is the default: so it is idempotent, too.
    producer: Producer,
}

impl Desk {
    /// A desk.
    ///
    /// # Errors
    /// Those of [`Client::producer`].
    pub fn open(client: &Client) -> Result<Self> {
        Ok(Self { producer: client.producer(ProducerConfig::new())? })
    }

    /// Asks for a payment. It is accepted when the [`Delivery`] says so; who hears of an error asks again, with the same id.
    ///
    /// # Errors
    /// Those of [`Producer::send`].
    pub fn request(&self, payment: &Payment) -> Result<Delivery> {
        payment.as_record(PAYMENTS, |record| self.producer.send(record))
    }

    /// Asks for a payment, and waits until it is accepted.
    ///
    /// # Errors
    /// Those of [`Producer::produce`].
    pub fn accept(&self, payment: &Payment) -> Result<()> {
        payment.as_record(PAYMENTS, |record| self.producer.produce(record)).map(drop)
    }
}
