//! Opening a broker's directory, and closing it.

use super::{
    DirectoryLock, Node, NodeConfig,
    adopt::{MADE_BY_BROOKLET, META_PROPERTIES},
    background::Background,
    checkpoints::{Checkpoints, Written, noted_start},
    cleaner::{Cleaner, CleanerTimer},
    counts::Requests,
    directory::{is_removed_dir, read_partition_metadata, write_partition_metadata},
    groups::Groups,
    parked::Parked,
    partition::Partition,
    progress::{OnProgress, Progress, Teller},
    publish::Published,
    report::{PartitionRecovery, RecoveryReport},
    timers::Timers,
    topics::{METADATA_FILE, TopicEntry, Topics, forget_partitions, read_metadata, write_metadata},
};
use crate::{
    bugs::{self, Bug},
    env::{Driver, Open, Storage, replace_file},
    error::{Error, Result},
    log::{Extent, LoadedFrom, Log, LogConfig, bytes_to_scan},
    sync::{AtomicBool, AtomicI64, Mutex, RwLock, Version},
    trace,
    types::{OFFSETS_TOPIC, Offset, TopicId},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

/// Written last of all by a close, removed by the next open before anything is appended.
const CLEAN_MARKER: &str = ".kafka_cleanshutdown";
const CLEAN_MARKER_TEXT: &[u8] = br#"{"version":0,"brokerEpoch":-1}"#;

/// What there is to load logs by.
struct Found {
    names: BTreeSet<String>,
    checkpoints: Checkpoints,
    /// Whether the broker that had the directory before closed it.
    closed: bool,
    on_progress: OnProgress,
}

impl Node {
    /// Opens a directory, made where there is none, and brings every log into order.
    pub(crate) fn open(config: NodeConfig) -> Result<(Arc<Self>, RecoveryReport)> {
        let begun = config.clock.now();
        let _span = trace::open(config.dir.display());
        check_config(&config)?;
        let NodeConfig { id, dir, storage, clock, prng, topic_defaults, .. } = config;
        storage.create_dir(&dir)?;
        let lock = DirectoryLock(storage.lock(&dir)?);
        let topics = Topics::default();
        let node = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            id,
            dir,
            storage,
            clock,
            topic_defaults,
            retention_check_interval: config.retention_check_interval,
            group_limits: config.group_limits,
            offsets_retention: config.offsets_retention,
            salvage: config.salvage,
            replication: config.replication,
            prng: Mutex::new(prng),
            closed: AtomicBool::new(false),
            admin: Mutex::new(()),
            groups: Mutex::new(Groups::default()),
            slots: topics.version(),
            metadata: Version::default(),
            skew: config.skew,
            topics: RwLock::new(topics),
            starts: Mutex::new(()),
            checkpoint: Mutex::new(Written::default()),
            points_armed: AtomicBool::new(false),
            cleaner: Mutex::new(Cleaner::default()),
            cleaner_timer: CleanerTimer::default(),
            parked: Parked::default(),
            timers: Timers::new(),
            background: Background::default(),
            requests: Requests::default(),
            published: Published::default(),
            last_wall: AtomicI64::new(i64::MIN),
            lock: Mutex::new(Some(lock)),
        });
        let mut report = node.load(config.on_progress)?;
        node.begin_retention();
        node.check_offsets_later();
        node.begin_cleaning();
        node.begin_publishing();
        node.flush_recovered();
        match &node.clock {
            // The cluster sees to the time.
            crate::env::Clock::System(_) if node.replication.is_some() => node.start_worker()?,
            _ if node.replication.is_some() => {}
            crate::env::Clock::Manual(clock) => {
                let driver: Weak<dyn Driver> = Weak::<Self>::clone(&node.me);
                clock.attach(driver);
            }
            crate::env::Clock::System(_) => node.start()?,
        }
        report.elapsed = node.clock.now().since(begun);
        report.tell(&node.dir);
        Ok((node, report))
    }

    fn load(&self, on_progress: OnProgress) -> Result<RecoveryReport> {
        let (storage, dir) = (&*self.storage, self.dir.as_path());
        let there = storage.list(dir)?.unwrap_or_default();
        self.refuse_a_clusters(&there)?;
        let names: BTreeSet<String> = there.iter().map(|entry| entry.name.clone()).collect();
        let mut kept_aside = Vec::new();
        let read = read_metadata(storage, dir);
        let mut entries = self.or_aside(METADATA_FILE, read, &mut kept_aside)?.unwrap_or_default();
        let checkpoints = self.read_checkpoints(&mut kept_aside)?;
        let closed = names.contains(CLEAN_MARKER);
        // What contradicts what is known is refused before anything is changed.
        let adopted = self.find_topics(&there, &entries, &checkpoints)?;
        let nothing = entries.is_empty() && adopted.is_empty() && checkpoints.recovery_points.is_empty();
        let topics_adopted = adopted.iter().map(|entry| entry.name.to_string()).collect();
        if !closed {
            // What was read may be what a sync failed to make durable, before the broker of then was gone.
            storage.sync_dir(dir)?;
            self.sync_parent()?;
        }
        if !adopted.is_empty() {
            entries.extend(adopted);
            write_metadata(storage, dir, &entries)?;
        }
        if !names.contains(META_PROPERTIES) {
            self.write_meta_properties()?;
        }
        let found = Found { names, checkpoints, closed, on_progress };
        let mut partitions = self.load_topics(entries, &found)?;
        // What is damaged, or not brooklet's, was refused by now, with the marker in its place; nothing was appended yet.
        if closed {
            storage.remove_file(&dir.join(CLEAN_MARKER))?;
            storage.sync_dir(dir)?;
        }
        let damaged = partitions.iter().any(|partition| !partition.damage.is_empty());
        self.end_adoption(&found, damaged || found.checkpoints.is_lost())?;
        self.finish_removals()?;
        for name in found.names.iter().filter(|name| is_removed_dir(name)) {
            self.storage.remove_dir(&dir.join(name))?;
        }
        partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
        let bytes_scanned = partitions.iter().map(|partition| partition.bytes_scanned).sum();
        let clean = closed || nothing;
        let groups_beyond_end = match self.groups_beyond_end(clean && !damaged) {
            // A group whose commits are damaged says so when it is asked for.
            Err(error) if !matches!(error, Error::Io { .. }) => Vec::new(),
            other => other?,
        };
        let elapsed = Duration::ZERO;
        Ok(RecoveryReport {
            clean,
            elapsed,
            bytes_scanned,
            topics_adopted,
            kept_aside,
            partitions,
            groups_beyond_end,
        })
    }

    fn load_topics(&self, entries: Vec<TopicEntry>, found: &Found) -> Result<Vec<PartitionRecovery>> {
        let (removed, there): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.removed);
        let mut partitions = Vec::new();
        for entry in there {
            partitions.extend(self.load_topic(entry, found)?);
        }
        self.topics.write().removed = removed;
        Ok(partitions)
    }

    /// Notes where the logs begin of topics that were found; from then on a first segment that is missing is damage. What
    /// is noted of partitions that are not there goes: it must not be taken for something of one that is made later.
    fn end_adoption(&self, found: &Found, salvaged: bool) -> Result<()> {
        self.flush_adopted()?;
        let (adopted, stale, stale_cleaned) = {
            let mut topics = self.topics.write();
            let is_there = |of| topics.partitions().any(|partition| partition.name() == of);
            let stale = found.checkpoints.partitions().any(|of| !is_there(of));
            let stale_cleaned = found.checkpoints.cleaned.keys().any(|of| !is_there(of));
            (topics.end_adoptions(), stale, stale_cleaned)
        };
        if stale_cleaned {
            self.write_cleaned()?;
        }
        if adopted || stale || salvaged {
            self.write_recovery_points()?;
            self.write_log_starts()?;
        } else {
            self.checkpoint.lock().log_starts = Some(found.checkpoints.log_starts.clone());
        }
        if adopted {
            let entries = self.topics.read().entries();
            write_metadata(&*self.storage, &self.dir, &entries)?;
        }
        Ok(())
    }

    /// A Kafka may have cleaned what is above a recovery point. The next recovery takes nothing above its own for cleaned.
    fn flush_adopted(&self) -> Result<()> {
        let adopted: Vec<Arc<Partition>> = {
            let topics = self.topics.read();
            let adopting = topics.iter().filter(|topic| topic.entry.adopting);
            adopting.flat_map(|topic| topic.partitions.iter().cloned()).collect()
        };
        for partition in adopted {
            let behind =
                matches!(partition.lock().log_if_any(), Ok(Some(log)) if log.recovery_point() < log.end());
            if behind {
                partition.flush(Offset::new(i64::MAX), Extent::Everything)?;
            }
        }
        Ok(())
    }

    /// Sees to it that the directory's own name is durable. A parent that may not be read is somebody else's care.
    fn sync_parent(&self) -> Result<()> {
        let Some(parent) = self.dir.parent() else { return Ok(()) };
        match self.storage.sync_dir(parent) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }

    fn load_topic(&self, entry: TopicEntry, found: &Found) -> Result<Vec<PartitionRecovery>> {
        let settings = entry.config.settings()?;
        let points = &found.checkpoints.recovery_points;
        let mut partitions = Vec::new();
        let mut report = Vec::new();
        for number in 0..entry.config.partition_count()? {
            let config = LogConfig {
                gaps_anywhere: entry.adopting || found.checkpoints.points_lost,
                ..self.log_config(&entry, number, &settings)
            };
            let point = points.get(&config.partition).copied();
            let known = point.is_some() || found.names.contains(&config.partition.to_string());
            let later = &*entry.name == OFFSETS_TOPIC || self.replication.is_some();
            if later && !known {
                partitions.push(Partition::new(self.seams(), entry.id, config, None));
                continue;
            }
            let from = match (found.closed, point) {
                // Put there since, or made just now.
                (true, None) if entry.adopting => LoadedFrom::Crash(Offset::ZERO),
                (true, end) => LoadedFrom::CleanClose(end.unwrap_or_default()),
                (false, point) => LoadedFrom::Crash(point.unwrap_or_default()),
            };
            let noted = found.checkpoints.log_starts.get(&config.partition).copied();
            let start = match entry.adopting {
                true => self.adopted_start(&config.dir, noted)?,
                false => Some(noted.unwrap_or_default()),
            };
            let salvaged = self.salvage_log(&config, (from, start), &found.checkpoints)?;
            let (from, start) = salvaged.as_ref().map_or((from, start), |(how, _)| *how);
            let (mut log, mut recovered) =
                self.load_log(&config, entry.id, from, start, &found.on_progress)?;
            if let Some((_, salvaged)) = salvaged {
                recovered.add(salvaged);
            }
            log.take_up_cleaned(found.checkpoints.cleaned.get(log.partition()).copied());
            report.push(recovered);
            partitions.push(Partition::new(self.seams(), entry.id, config, Some(log)));
        }
        self.topics.write().insert(entry, partitions);
        Ok(report)
    }

    fn load_log(
        &self,
        config: &LogConfig,
        id: TopicId,
        from: LoadedFrom,
        start: Option<Offset>,
        on_progress: &OnProgress,
    ) -> Result<(Log, PartitionRecovery)> {
        let _span = trace::load(&config.partition);
        self.check_topic_id(config, id)?;
        let bytes_total = on_progress.0.as_ref().map(|_| bytes_to_scan(&*self.storage, config, from));
        let bytes_total = bytes_total.transpose()?.unwrap_or_default();
        let listener = on_progress.0.as_deref().map(|listener| listener as &dyn Fn(&Progress));
        let mut teller = Teller::new(&config.partition, bytes_total, listener);
        let how = (from, start);
        let (log, recovered) =
            Log::open_telling(&self.storage, config.clone(), how, &mut |read| teller.read(read))?;
        teller.end();
        let report = PartitionRecovery {
            partition: config.partition.clone(),
            log_start_offset: log.start().get(),
            log_end_offset: log.end().get(),
            bytes_scanned: recovered.bytes_scanned,
            bytes_cut: recovered.bytes_cut,
            good_batches_cut: recovered.good_batches_cut,
            kept_aside: recovered.kept_aside,
            indexes_rebuilt: recovered.indexes_rebuilt,
            damage: Vec::new(),
        };
        Ok((log, report))
    }

    /// A directory says of which topic it is; one that does not is made to.
    fn check_topic_id(&self, config: &LogConfig, id: TopicId) -> Result<()> {
        match read_partition_metadata(&*self.storage, &config.dir)? {
            Some(there) if there != id && !self.salvage => {
                let reason = format!("it is of the topic {there}, and {id} is expected");
                let (path, partition) = (config.dir.clone(), Some(config.partition.clone()));
                Err(Error::KafkaStorageError { path, partition, offset: None, reason })
            }
            Some(there) if there == id => Ok(()),
            _ => write_partition_metadata(&*self.storage, &config.dir, id),
        }
    }

    /// The file by which Kafka knows a log directory.
    fn write_meta_properties(&self) -> Result<()> {
        let (cluster, directory) = {
            let mut prng = self.prng.lock();
            (TopicId::random(&mut prng), TopicId::random(&mut prng))
        };
        let text = format!(
            "{MADE_BY_BROOKLET}version=1\ncluster.id={cluster}\nnode.id={}\ndirectory.id={directory}\n",
            self.id
        );
        replace_file(&*self.storage, &self.dir.join(META_PROPERTIES), text.as_bytes())
    }

    /// Makes everything durable and marks the directory as closed; then every call gives [`Error::Closed`]. A second
    /// close does nothing. On an error the directory is left as after a crash, and is released all the same.
    pub(crate) fn close(&self) -> Result<()> {
        if !self.begin_close() {
            return Ok(());
        }
        let _span = trace::close(self.dir.display());
        self.stop();
        self.end_cleaning();
        self.parked.fail_all(&Error::Closed);
        self.fail_group_requests(&Error::Closed);
        self.end_publishing();
        let result = self.close_logs();
        forget_partitions();
        drop(self.lock.lock().take());
        match &result {
            Ok(()) => trace::closed(self.dir.display()),
            Err(error) => trace::close_failed(self.dir.display(), error),
        }
        result
    }

    fn close_logs(&self) -> Result<()> {
        let _no_topics_meanwhile = self.admin.lock();
        if bugs::is(Bug::MarkCleanBeforeFlush) {
            self.write_clean_marker()?;
        }
        // A topic whose deletion could not be ended is closed by nobody: the directory would not be clean.
        let mut first_error = self.finish_removals().err();
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        let mut logs = Vec::new();
        for partition in partitions {
            let Some(mut log) = partition.take_log(Error::Closed) else { continue };
            match close_log(&*self.storage, &mut log) {
                Ok(end) => logs.push((partition.name().clone(), end, noted_start(&log))),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        if let Some(error) = first_error {
            return Err(error);
        }
        self.write_last_checkpoints(&logs)?;
        self.write_clean_marker()
    }

    fn write_clean_marker(&self) -> Result<()> {
        let file = self.storage.open(&self.dir.join(CLEAN_MARKER), Open::Write)?;
        file.write_at(0, CLEAN_MARKER_TEXT)?;
        file.sync()?;
        self.storage.sync_dir(&self.dir)
    }
}

/// Flushes a log for the last time, and gives its end.
fn close_log(storage: &dyn Storage, log: &mut Log) -> Result<Offset> {
    log.prepare_close()?;
    let flush = log.begin_flush(Extent::Everything)?;
    let result = flush.run(storage);
    log.end_flush(&flush, result)?;
    Ok(log.end())
}

fn check_config(config: &NodeConfig) -> Result<()> {
    config.topic_defaults.settings()?;
    let interval = config.retention_check_interval;
    if interval < Duration::from_millis(1) {
        let (key, value) = ("log.retention.check.interval.ms".to_owned(), format!("{interval:?}"));
        return Err(Error::InvalidConfig { key, value, reason: "1 ms or more is allowed".to_owned() });
    }
    Ok(())
}
