//! Fetch: reads from partitions up to their high watermarks, and waits for records where there are too few.

use super::{
    Node, Task,
    parked::{ParkedFetch, Waiter},
    partition::Partition,
};
use crate::{
    env::Bytes,
    error::{Error, Result},
    record::Batch,
    rpc::{Answer, FetchPartition, FetchRequest, FetchResponse, Fetched},
    types::{IsolationLevel, Offset, TopicPartition},
};
use std::sync::{Arc, Weak};

impl Node {
    pub(super) fn handle_fetch(&self, request: &FetchRequest) -> Answer<FetchResponse> {
        let response = self.read(request);
        if self.is_enough(request, &response) || request.deadline <= self.clock.now() {
            self.count(request, Some(&response));
            return Answer::Ready(Ok(response));
        }
        let Some(fetch) = self.parked.park(&self.me, request) else {
            self.count(request, None);
            return Answer::Ready(Err(Box::new(Error::IllegalState(
                "too many requests wait in this broker".to_owned(),
            ))));
        };
        // From here on others may answer it. What came before they could know of it is looked for once more.
        self.watch(&fetch);
        let response = self.read(request);
        if self.is_enough(request, &response) {
            self.answer_fetch(&fetch, Ok(response));
        } else if let Err(closed) = self.check_open() {
            self.answer_fetch(&fetch, Err(closed));
        } else {
            let timer = self.timers.arm(request.deadline, Task::ExpireFetch(fetch.id));
            if let Err(answered) = self.parked.set_timer(fetch.id, timer) {
                self.timers.disarm(answered);
            }
        }
        Answer::Parked(Arc::clone(&fetch.ticket))
    }

    fn watch(&self, fetch: &Arc<ParkedFetch>) {
        for wanted in &fetch.request.partitions {
            if let Ok(partition) = self.partition(wanted.partition) {
                let waiter: Weak<dyn Waiter> = Arc::<ParkedFetch>::downgrade(fetch) as Weak<dyn Waiter>;
                partition.lock().wait(waiter);
            }
        }
    }

    /// Answers a parked fetch if there is enough by now, else it waits on.
    pub(super) fn retry_fetch(&self, fetch: &Arc<ParkedFetch>) {
        let mut response = self.read(&fetch.request);
        if !self.is_enough(&fetch.request, &response) {
            self.watch(fetch);
            response = self.read(&fetch.request);
        }
        if self.is_enough(&fetch.request, &response) {
            self.answer_fetch(fetch, Ok(response));
        }
    }

    pub(super) fn expire_fetch(&self, id: u64) {
        if let Some((fetch, _)) = self.parked.unpark(id) {
            let response = self.read(&fetch.request);
            self.fill(&fetch, Ok(response));
        }
    }

    fn answer_fetch(&self, fetch: &Arc<ParkedFetch>, response: Result<FetchResponse>) {
        if let Some((fetch, timer)) = self.parked.unpark(fetch.id) {
            if let Some(timer) = timer {
                self.timers.disarm(timer);
            }
            self.fill(&fetch, response);
        }
    }

    fn fill(&self, fetch: &ParkedFetch, response: Result<FetchResponse>) {
        if !fetch.ticket.is_filled() {
            self.count(&fetch.request, response.as_ref().ok());
            fetch.ticket.fill(response);
        }
    }

    /// Counts a fetch that is answered; with an error as a whole, if that is `None`.
    fn count(&self, request: &FetchRequest, response: Option<&FetchResponse>) {
        self.requests.fetches.up();
        let results = response.map(|response| response.partitions.as_slice());
        if results.is_none_or(|results| results.iter().any(Result::is_err)) {
            self.requests.fetch_failures.up();
        }
        for (wanted, result) in request.partitions.iter().zip(results.unwrap_or_default()) {
            let bytes = result.as_ref().map_or(0, |fetched| fetched.records.len() as u64);
            if bytes > 0
                && let Ok(partition) = self.partition(wanted.partition)
            {
                partition.lock().counts.bytes_fetched += bytes;
            }
        }
    }

    fn is_enough(&self, request: &FetchRequest, response: &FetchResponse) -> bool {
        let bytes: usize = response.partitions.iter().flatten().map(|fetched| fetched.records.len()).sum();
        bytes >= request.min_bytes
            || response.partitions.iter().any(Result::is_err)
            || request.metadata_version.is_some_and(|known| known < response.metadata_version)
    }

    /// What there is now.
    fn read(&self, request: &FetchRequest) -> FetchResponse {
        let metadata_version = self.metadata.get();
        let mut left = request.max_bytes;
        let mut found = false;
        let mut read = |wanted: &FetchPartition| {
            let max_bytes = wanted.max_bytes.min(left);
            let fetched = self.partition(wanted.partition).and_then(|partition| {
                read_partition(&partition, wanted, (request.isolation, max_bytes), !found)
            })?;
            left = left.saturating_sub(fetched.records.len());
            found |= !fetched.records.is_empty();
            Ok(fetched)
        };
        FetchResponse { partitions: request.partitions.iter().map(&mut read).collect(), metadata_version }
    }
}

/// Rules 3, 4, 5 and 10.
fn read_partition(
    partition: &Partition,
    wanted: &FetchPartition,
    (isolation, max_bytes): (IsolationLevel, usize),
    at_least_one: bool,
) -> Result<Fetched> {
    let offset = wanted.offset;
    let mut state = partition.lock();
    state.check_leads(wanted.current_leader_epoch)?;
    let Some(log) = state.log_if_any()? else { return absent(partition.name(), offset) };
    let high_watermark = partition.high_watermark(log);
    let last_stable = log.last_stable(high_watermark);
    let committed = isolation == IsolationLevel::ReadCommitted;
    let below = if committed { last_stable } else { high_watermark };
    let records = log.read(offset, below, max_bytes, at_least_one)?;
    let aborted =
        if committed { log.aborted(offset, end_of(&records).unwrap_or(offset))? } else { Vec::new() };
    Ok(Fetched {
        records,
        high_watermark,
        log_start_offset: log.start(),
        last_stable_offset: last_stable,
        aborted,
    })
}

/// The offset behind the last whole batch.
fn end_of(mut batches: &[u8]) -> Option<Offset> {
    let mut end = None;
    while let Some(batch) = Batch::unchecked(batches) {
        end = Some(batch.header().next_offset());
        batches = batches.get(batch.header().size..)?;
    }
    end
}

/// A partition that nothing was ever appended to.
fn absent(partition: &TopicPartition, offset: Offset) -> Result<Fetched> {
    if offset != Offset::ZERO {
        let (log_start_offset, log_end_offset) = (0, 0);
        let partition = partition.clone();
        return Err(Error::OffsetOutOfRange {
            partition,
            offset: offset.get(),
            log_start_offset,
            log_end_offset,
        });
    }
    Ok(Fetched {
        records: Bytes::from(Vec::new()),
        high_watermark: Offset::ZERO,
        log_start_offset: Offset::ZERO,
        last_stable_offset: Offset::ZERO,
        aborted: Vec::new(),
    })
}
