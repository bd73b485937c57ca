//! What lies on the disk is told.

use crate::common::{Backend, on_every_backend, put, topic};
use brooklet::{LogDescription, OffsetSpec, TopicConfig};

on_every_backend![logs_are_described_with_sizes_segments_and_offsets,];

fn described(backend: &Backend, topic: &str) -> Vec<LogDescription> {
    let mut logs = backend.client().admin().describe_log_dirs().unwrap();
    logs.retain(|log| log.partition.topic() == topic);
    logs
}

fn logs_are_described_with_sizes_segments_and_offsets(backend: &mut Backend) {
    let client = backend.client();
    assert!(described(backend, "t").is_empty());
    client.create_topic("t", TopicConfig::new().partitions(2).segment_bytes(1024)).unwrap();
    topic(&client, "u", 1);
    (0..9).for_each(|_| assert!(put(&client, "t", &"x".repeat(400)) >= 0));
    client.admin().delete_records(("t", 0), 3).unwrap();
    for _ in 0..2 {
        let logs = described(backend, "t");
        assert_eq!(logs.iter().map(|log| log.partition.partition()).collect::<Vec<_>>(), [0, 1]);
        let first = &logs[0];
        assert_eq!((first.log_start_offset, first.high_watermark, first.log_end_offset), (3, 9, 9));
        // Two batches of less than 512 bytes to a segment; the one with offset 2 is still in the log's first.
        assert_eq!(first.segments, 4);
        assert!((7 * 460..7 * 512).contains(&first.size), "{}", first.size);
        assert_eq!((logs[1].size, logs[1].segments, logs[1].log_end_offset), (0, 1, 0));
        backend.reopen();
    }
    assert_eq!(described(backend, "u").len(), 1);
    backend.client().admin().delete_topic("u").unwrap();
    assert!(described(backend, "u").is_empty());
    backend.client().admin().delete_records(("t", 0), OffsetSpec::Latest).unwrap();
    assert_eq!(described(backend, "t")[0].log_start_offset, 9);
}
