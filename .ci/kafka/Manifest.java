import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Writes down everything that a Kafka client gets from a broker: `records.jsonl` and `summary.json`.
 *
 *     Manifest ADDRESS DIRECTORY
 *
 * Of `records.jsonl`, a line is a record that a read_uncommitted consumer got; keys, values and headers are base64 or
 * null, and longer values than 4096 bytes their length and SHA-256. `summary.json` holds, for each partition, id, log
 * start, high watermark, last stable offset and the ranges of offsets that a read_committed consumer got; for each
 * topic the configs that are not the default; and which groups there are, with their states and what each has committed.
 */
class Manifest {
    /** Kafka's own, whose records mean nothing outside of it. */
    private static final List<String> LEFT_OUT = List.of("__transaction_state", "__share_group_state");
    private static final int LONG_VALUE = 4096;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final String address;
    private final ObjectMapper json = new ObjectMapper();

    private Manifest(String address) {
        this.address = address;
    }

    public static void main(String[] arguments) throws Exception {
        write(arguments[0], Path.of(arguments[1]));
    }

    static void write(String address, Path directory) throws Exception {
        Files.createDirectories(directory);
        new Manifest(address).write(directory);
    }

    private void write(Path directory) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            Map<String, TopicDescription> topics = topics(admin);
            List<TopicPartition> partitions = topics.values().stream()
                .flatMap(topic -> topic.partitions().stream().map(p -> new TopicPartition(topic.name(), p.partition())))
                .sorted((a, b) -> a.topic().equals(b.topic())
                    ? Integer.compare(a.partition(), b.partition()) : a.topic().compareTo(b.topic()))
                .collect(Collectors.toList());
            Map<TopicPartition, Long> starts = offsets(admin, partitions, OffsetSpec.earliest(), false);
            Map<TopicPartition, Long> ends = offsets(admin, partitions, OffsetSpec.latest(), false);
            Map<TopicPartition, Long> stable = offsets(admin, partitions, OffsetSpec.latest(), true);
            Map<TopicPartition, Integer> counts = new HashMap<>();
            try (BufferedWriter lines = Files.newBufferedWriter(directory.resolve("records.jsonl"))) {
                for (ConsumerRecord<byte[], byte[]> record : read(partitions, starts, ends, "read_uncommitted")) {
                    counts.merge(new TopicPartition(record.topic(), record.partition()), 1, Integer::sum);
                    lines.write(json.writeValueAsString(line(record)));
                    lines.newLine();
                }
            }
            Map<TopicPartition, List<long[]>> committed = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> record : read(partitions, starts, stable, "read_committed")) {
                add(committed.computeIfAbsent(new TopicPartition(record.topic(), record.partition()),
                    partition -> new ArrayList<>()), record.offset());
            }
            List<Object> listed = new ArrayList<>();
            for (TopicPartition of : partitions) {
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("topic", of.topic());
                one.put("topic_id", topics.get(of.topic()).topicId().toString());
                one.put("partition", of.partition());
                one.put("log_start_offset", starts.get(of));
                one.put("high_watermark", ends.get(of));
                one.put("last_stable_offset", stable.get(of));
                one.put("records", counts.getOrDefault(of, 0));
                one.put("read_committed_offsets", committed.getOrDefault(of, List.of()));
                listed.add(one);
            }
            Map<String, Object> summary = new LinkedHashMap<>();
            summary.put("topics", listed);
            summary.put("topic_configs", configs(admin, topics.keySet()));
            groups(admin, summary);
            json.writeValue(directory.resolve("summary.json").toFile(), summary);
        }
    }

    private Map<String, TopicDescription> topics(Admin admin) throws Exception {
        Collection<String> names = new TreeSet<>(admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get());
        names.removeAll(LEFT_OUT);
        return new TreeMap<>(admin.describeTopics(names).allTopicNames().get());
    }

    private static Map<TopicPartition, Long> offsets(
            Admin admin, List<TopicPartition> partitions, OffsetSpec spec, boolean committed) throws Exception {
        Map<TopicPartition, OffsetSpec> wanted = partitions.stream().collect(Collectors.toMap(p -> p, p -> spec));
        IsolationLevel level = committed ? IsolationLevel.READ_COMMITTED : IsolationLevel.READ_UNCOMMITTED;
        Map<TopicPartition, Long> offsets = new HashMap<>();
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> found =
            admin.listOffsets(wanted, new ListOffsetsOptions(level)).all().get();
        found.forEach((partition, info) -> offsets.put(partition, info.offset()));
        return offsets;
    }

    /** All records of all partitions, each in turn. */
    private List<ConsumerRecord<byte[], byte[]>> read(List<TopicPartition> partitions,
            Map<TopicPartition, Long> starts, Map<TopicPartition, Long> ends, String isolation) {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("isolation.level", isolation);
        config.put("auto.offset.reset", "none");
        config.put("enable.auto.commit", "false");
        config.put("max.poll.records", "5000");
        List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> open = partitions.stream()
                .filter(p -> starts.get(p) < ends.get(p)).collect(Collectors.toList());
            consumer.assign(open);
            open.forEach(partition -> consumer.seek(partition, starts.get(partition)));
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (open.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(100)).forEach(all::add);
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("the consumer does not come to the end of " + open.stream()
                        .filter(partition -> consumer.position(partition) < ends.get(partition))
                        .map(partition -> partition + " at " + consumer.position(partition)).toList());
                }
            }
        }
        all.removeIf(record -> record.offset() >= ends.get(new TopicPartition(record.topic(), record.partition())));
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> sorted = all.stream()
            .collect(Collectors.groupingBy(record -> new TopicPartition(record.topic(), record.partition())));
        return partitions.stream().flatMap(p -> sorted.getOrDefault(p, List.of()).stream()).collect(Collectors.toList());
    }

    private static void add(List<long[]> ranges, long offset) {
        long[] last = ranges.isEmpty() ? null : ranges.get(ranges.size() - 1);
        if (last != null && last[1] == offset - 1) {
            last[1] = offset;
        } else {
            ranges.add(new long[] {offset, offset});
        }
    }

    private static Map<String, Object> line(ConsumerRecord<byte[], byte[]> record) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("topic", record.topic());
        line.put("partition", record.partition());
        line.put("offset", record.offset());
        line.put("leader_epoch", record.leaderEpoch().orElse(null));
        line.put("timestamp", record.timestamp());
        line.put("timestamp_type", record.timestampType().toString());
        line.put("key", base64(record.key()));
        byte[] value = record.value();
        if (value != null && value.length > LONG_VALUE) {
            line.put("value_len", value.length);
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(value);
            line.put("value_sha256", HexFormat.of().formatHex(digest));
        } else {
            line.put("value", base64(value));
        }
        List<Object> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            List<String> pair = new ArrayList<>();
            pair.add(header.key());
            pair.add(base64(header.value()));
            headers.add(pair);
        }
        line.put("headers", headers);
        return line;
    }

    private static String base64(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }

    private static Map<String, Map<String, String>> configs(Admin admin, Collection<String> topics) throws Exception {
        List<ConfigResource> resources = topics.stream()
            .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic)).collect(Collectors.toList());
        Map<String, Map<String, String>> configs = new TreeMap<>();
        for (Map.Entry<ConfigResource, Config> one : admin.describeConfigs(resources).all().get().entrySet()) {
            Map<String, String> set = new TreeMap<>();
            for (ConfigEntry entry : one.getValue().entries()) {
                if (entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
                    set.put(entry.name(), entry.value());
                }
            }
            if (!set.isEmpty()) {
                configs.put(one.getKey().name(), set);
            }
        }
        return configs;
    }

    private static void groups(Admin admin, Map<String, Object> summary) throws Exception {
        List<Object> states = new ArrayList<>();
        List<Object> all = new ArrayList<>();
        Map<String, ConsumerGroupListing> groups = new TreeMap<>();
        admin.listConsumerGroups().all().get().forEach(group -> groups.put(group.groupId(), group));
        for (Map.Entry<String, ConsumerGroupListing> group : groups.entrySet()) {
            Collection<Object> commits = commits(admin, group.getKey());
            // One that has neither members nor commits any more is in memory only, until Kafka next looks for such.
            if (!group.getValue().isSimpleConsumerGroup() || !commits.isEmpty()) {
                states.add(Map.of("group", group.getKey(), "state", group.getValue().state().get().toString()));
                all.addAll(commits);
            }
        }
        summary.put("group_states", states);
        summary.put("groups", all);
    }

    /** What a group has committed, by partition. */
    private static Collection<Object> commits(Admin admin, String group) throws Exception {
        TreeMap<String, Object> sorted = new TreeMap<>();
        Map<TopicPartition, OffsetAndMetadata> committed =
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        committed.forEach((of, offset) -> {
            if (offset != null) {
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("group", group);
                one.put("topic", of.topic());
                one.put("partition", of.partition());
                one.put("offset", offset.offset());
                one.put("leader_epoch", offset.leaderEpoch().orElse(-1));
                one.put("metadata", offset.metadata());
                sorted.put(of.topic() + " " + String.format("%06d", of.partition()), one);
            }
        });
        return sorted.values();
    }
}
