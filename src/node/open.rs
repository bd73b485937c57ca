//! Opening a broker's directory, and closing it.

use super::{
    DirectoryLock, Node, NodeConfig,
    admin::OFFSETS_TOPIC,
    background::Background,
    directory::{is_removed_dir, read_partition_metadata, write_partition_metadata},
    groups::Groups,
    parked::Parked,
    partition::Partition,
    report::{PartitionRecovery, RecoveryReport},
    timers::Timers,
    topics::{TopicEntry, Topics, forget_partitions, read_metadata},
};
use crate::{
    env::{Driver, Entry, Open, Storage, replace_file},
    error::{Error, Result},
    log::{
        Extent, LoadedFrom, Log, LogConfig, OffsetsByPartition, RECOVERY_POINTS, read_checkpoint,
        write_checkpoint,
    },
    sync::{AtomicBool, AtomicI64, Mutex, RwLock},
    types::{Offset, TopicId},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

/// Written last of all by a close, removed by the next open before anything is appended.
const CLEAN_MARKER: &str = ".kafka_cleanshutdown";
const CLEAN_MARKER_TEXT: &[u8] = br#"{"version":0,"brokerEpoch":-1}"#;

const META_PROPERTIES: &str = "meta.properties";

impl Node {
    /// Opens a directory, made where there is none, and brings every log into order.
    pub(crate) fn open(config: NodeConfig) -> Result<(Arc<Self>, RecoveryReport)> {
        let begun = config.clock.now();
        let NodeConfig { id, dir, storage, clock, prng, topic_defaults } = config;
        topic_defaults.settings()?;
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
            prng: Mutex::new(prng),
            closed: AtomicBool::new(false),
            admin: Mutex::new(()),
            groups: Mutex::new(Groups::default()),
            slots: topics.version(),
            topics: RwLock::new(topics),
            checkpoint: Mutex::new(()),
            parked: Parked::default(),
            timers: Timers::new(),
            background: Background::default(),
            last_wall: AtomicI64::new(i64::MIN),
            lock: Mutex::new(Some(lock)),
        });
        let mut report = node.load()?;
        match &node.clock {
            crate::env::Clock::Manual(clock) => {
                let driver: Weak<dyn Driver> = Weak::<Self>::clone(&node.me);
                clock.attach(driver);
            }
            crate::env::Clock::System(_) => node.start()?,
        }
        report.elapsed = node.clock.now().since(begun);
        Ok((node, report))
    }

    fn load(&self) -> Result<RecoveryReport> {
        let (storage, dir) = (&*self.storage, self.dir.as_path());
        let found = storage.list(dir)?.unwrap_or_default();
        let names: BTreeSet<String> = found.iter().map(|entry| entry.name.clone()).collect();
        let entries = read_metadata(storage, dir)?;
        let points = read_checkpoint(storage, &dir.join(RECOVERY_POINTS))?;
        let closed = names.contains(CLEAN_MARKER);
        let clean = closed || (entries.is_empty() && points.is_empty());
        if !closed {
            // What was read may be what a sync failed to make durable, before the broker of then was gone.
            storage.sync_dir(dir)?;
            self.sync_parent()?;
        }
        if !names.contains(META_PROPERTIES) {
            self.write_meta_properties()?;
        }
        let (removed, there): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.removed);
        let mut partitions = Vec::new();
        for entry in there {
            let recovered = self.load_topic(entry, &names, closed, &points)?;
            partitions.extend(recovered);
        }
        self.topics.write().removed = removed;
        self.check_known(&found)?;
        // What is damaged, or not brooklet's, was refused by now, with the marker in its place; nothing was appended yet.
        if closed {
            storage.remove_file(&dir.join(CLEAN_MARKER))?;
            storage.sync_dir(dir)?;
        }
        self.finish_removals()?;
        for name in names.iter().filter(|name| is_removed_dir(name)) {
            self.storage.remove_dir(&dir.join(name))?;
        }
        partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
        let bytes_scanned = partitions.iter().map(|partition| partition.bytes_scanned).sum();
        Ok(RecoveryReport { clean, elapsed: std::time::Duration::ZERO, bytes_scanned, partitions })
    }

    /// A partition's directory that belongs to no topic was not made by brooklet, or the metadata file is not the one
    /// that belongs here: nothing is guessed about records.
    fn check_known(&self, there: &[Entry]) -> Result<()> {
        let known: BTreeSet<String> = {
            let topics = self.topics.read();
            let count = |entry: &TopicEntry| entry.config.partition_count().unwrap_or_default();
            let dirs =
                |entry: TopicEntry| (0..count(&entry)).map(move |number| format!("{}-{number}", entry.name));
            topics.entries().into_iter().flat_map(dirs).collect()
        };
        let dirs = there.iter().filter(|entry| entry.is_dir).map(|entry| &entry.name);
        for name in dirs.filter(|name| !known.contains(*name) && !is_removed_dir(name)) {
            let dir = self.dir.join(name);
            if read_partition_metadata(&*self.storage, &dir)?.is_some() {
                let reason = "a partition of no topic that brooklet.metadata names".to_owned();
                return Err(Error::KafkaStorageError { path: dir, partition: None, offset: None, reason });
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

    fn load_topic(
        &self,
        entry: TopicEntry,
        names: &BTreeSet<String>,
        closed: bool,
        points: &OffsetsByPartition,
    ) -> Result<Vec<PartitionRecovery>> {
        let settings = entry.config.settings()?;
        let mut partitions = Vec::new();
        let mut report = Vec::new();
        for number in 0..entry.config.partition_count()? {
            let config = entry.log_config(&self.dir, number, &settings);
            let point = points.get(&config.partition).copied();
            let known = point.is_some() || names.contains(&config.partition.to_string());
            if &*entry.name == OFFSETS_TOPIC && !known {
                partitions.push(Partition::new(&self.storage, entry.id, config, None));
                continue;
            }
            let point = point.unwrap_or_default();
            let from = if closed { LoadedFrom::CleanClose(point) } else { LoadedFrom::Crash(point) };
            let (log, recovered) = self.load_log(&config, entry.id, from)?;
            report.push(recovered);
            partitions.push(Partition::new(&self.storage, entry.id, config, Some(log)));
        }
        self.topics.write().insert(entry, partitions);
        Ok(report)
    }

    fn load_log(
        &self,
        config: &LogConfig,
        id: TopicId,
        from: LoadedFrom,
    ) -> Result<(Log, PartitionRecovery)> {
        match read_partition_metadata(&*self.storage, &config.dir)? {
            Some(there) if there != id => {
                let reason = format!("it is of the topic {there}, and {id} is expected");
                let partition = Some(config.partition.clone());
                return Err(Error::KafkaStorageError {
                    path: config.dir.clone(),
                    partition,
                    offset: None,
                    reason,
                });
            }
            Some(_) => {}
            None => write_partition_metadata(&*self.storage, &config.dir, id)?,
        }
        let (log, recovered) = Log::open(&self.storage, config.clone(), from, Some(Offset::ZERO))?;
        let report = PartitionRecovery {
            partition: config.partition.clone(),
            log_end_offset: log.end().get(),
            bytes_scanned: recovered.bytes_scanned,
            bytes_cut: recovered.bytes_cut,
        };
        Ok((log, report))
    }

    /// The file by which Kafka knows a log directory.
    fn write_meta_properties(&self) -> Result<()> {
        let (cluster, directory) = {
            let mut prng = self.prng.lock();
            (TopicId::random(&mut prng), TopicId::random(&mut prng))
        };
        let text =
            format!("version=1\ncluster.id={cluster}\nnode.id={}\ndirectory.id={directory}\n", self.id);
        replace_file(&*self.storage, &self.dir.join(META_PROPERTIES), text.as_bytes())
    }

    /// Makes everything durable and marks the directory as closed; then every call gives [`Error::Closed`]. A second
    /// close does nothing. On an error the directory is left as after a crash, and is released all the same.
    pub(crate) fn close(&self) -> Result<()> {
        if !self.begin_close() {
            return Ok(());
        }
        self.stop();
        self.parked.fail_all(&Error::Closed);
        let result = self.close_logs();
        forget_partitions();
        drop(self.lock.lock().take());
        result
    }

    fn close_logs(&self) -> Result<()> {
        let _no_topics_meanwhile = self.admin.lock();
        // A topic whose deletion could not be ended is closed by nobody: the directory would not be clean.
        let mut first_error = self.finish_removals().err();
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        let mut points = OffsetsByPartition::new();
        for partition in partitions {
            let Some(mut log) = partition.take_log(Error::Closed) else { continue };
            match close_log(&*self.storage, &mut log) {
                Ok(end) => drop(points.insert(partition.name().clone(), end)),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        if let Some(error) = first_error {
            return Err(error);
        }
        let _last_checkpoint = self.checkpoint.lock();
        write_checkpoint(&*self.storage, &self.dir.join(RECOVERY_POINTS), &points)?;
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
