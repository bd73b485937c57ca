use brooklet::{ConsumerRecord, Record};

/// So much is to go to an account, or from it. As a record: the key is the account, the value are the cents, and the id is a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Chosen by the caller, who keeps it when it asks again.
    pub id: String,
    /// Whose.
    pub account: String,
    /// Negative: from the account.
    pub cents: i64,
}

impl Payment {
    /// A payment with this id.
    pub fn new(id: &str, account: &str, cents: i64) -> Self {
        Self { id: id.to_owned(), account: account.to_owned(), cents }
    }

    /// Hands it to `with` as a record for a topic.
    pub(crate) fn as_record<T>(&self, topic: &str, with: impl FnOnce(Record<'_>) -> T) -> T {
        let cents = self.cents.to_string();
        with(Record::to(topic).key(&self.account).value(&cents).header("id", &self.id))
    }

    /// `None` if the record is no payment.
    pub(crate) fn read(record: ConsumerRecord<'_>) -> Option<Self> {
        let id = std::str::from_utf8(record.headers().last("id")?.value?).ok()?;
        let cents = record.value_str().ok()?.parse().ok()?;
        Some(Self::new(id, record.key_str().ok()?, cents))
    }
}
