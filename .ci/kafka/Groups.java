import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Kafka's consumers in the groups of brooklet's manifest: they subscribe, and go on from what is committed there. Of each
 * group, all partitions but one then have something committed by Kafka. One more group is Kafka's own, and its members are
 * still there at the end.
 */
class Groups {
    private static final String OWN = "Kafka's own \u03bb";
    /** What a commit is noted with; load.py looks for it. */
    private static final String NOTE = "by Kafka: ";
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration POLL = Duration.ofMillis(50);

    private final String address;
    /** By group, what is committed. */
    private final Map<String, Set<TopicPartition>> committed = new TreeMap<>();
    private final List<Object> begun = new ArrayList<>();

    Groups(String address, JsonNode summary) {
        this.address = address;
        for (JsonNode one : summary.get("groups")) {
            TopicPartition of = new TopicPartition(one.get("topic").asText(), one.get("partition").asInt());
            committed.computeIfAbsent(one.get("group").asText(), group -> new HashSet<>()).add(of);
        }
    }

    /** Writes `begun.json`: of each group and partition, the offset of the first record that came. */
    void goOn(Path into) throws Exception {
        for (Map.Entry<String, Set<TopicPartition>> group : committed.entrySet()) {
            try (KafkaConsumer<byte[], byte[]> member = member(group.getKey(), "none", group.getValue())) {
                Map<TopicPartition, ConsumerRecord<byte[], byte[]>> first = firstOf(group.getValue(), member);
                first.values().forEach(record -> begun.add(line(group.getKey(), record)));
                commit(member, first);
            }
        }
        new ObjectMapper().writeValue(into.resolve("begun.json").toFile(), begun);
        own();
    }

    private void own() {
        Set<TopicPartition> all = committed.values().stream().flatMap(Set::stream).collect(Collectors.toSet());
        KafkaConsumer<byte[], byte[]> one = member(OWN, "earliest", all);
        firstOf(all, one);
        List<KafkaConsumer<byte[], byte[]>> both = List.of(one, member(OWN, "earliest", all));
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        // Not closed: neither leaves the group.
        while (both.stream().anyMatch(member -> member.assignment().isEmpty() || member.assignment().size() == all.size())) {
            both.forEach(member -> member.poll(POLL));
            inTime(deadline, OWN);
        }
        for (KafkaConsumer<byte[], byte[]> member : both) {
            Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
            member.assignment().forEach(of -> done.put(of, new OffsetAndMetadata(17 + 5 * of.partition(), NOTE + of)));
            member.commitSync(done);
        }
    }

    private KafkaConsumer<byte[], byte[]> member(String group, String reset, Set<TopicPartition> partitions) {
        Map<String, Object> config = Map.of("bootstrap.servers", address, "group.id", group, "auto.offset.reset", reset,
            "enable.auto.commit", "false", "heartbeat.interval.ms", "100", "fetch.max.wait.ms", "50");
        KafkaConsumer<byte[], byte[]> member =
            new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        member.subscribe(partitions.stream().map(TopicPartition::topic).collect(Collectors.toSet()));
        return member;
    }

    /** Polls until each partition has given a record, and gives the first ones. */
    private static Map<TopicPartition, ConsumerRecord<byte[], byte[]>> firstOf(
            Set<TopicPartition> partitions, KafkaConsumer<byte[], byte[]> member) {
        Map<TopicPartition, ConsumerRecord<byte[], byte[]>> first = new HashMap<>();
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!first.keySet().containsAll(partitions)) {
            member.poll(POLL).forEach(record ->
                first.putIfAbsent(new TopicPartition(record.topic(), record.partition()), record));
            inTime(deadline, partitions + ", of which there are " + first.keySet());
        }
        return first;
    }

    private static void inTime(long deadline, String what) {
        if (System.nanoTime() > deadline) {
            throw new IllegalStateException("the consumers do not come to " + what);
        }
    }

    /** Commits unevenly, and nothing for the first partition of the last topic: there brooklet's commit stays. */
    private static void commit(
            KafkaConsumer<byte[], byte[]> member, Map<TopicPartition, ConsumerRecord<byte[], byte[]>> first) {
        List<TopicPartition> sorted = first.keySet().stream()
            .sorted(Comparator.comparing(TopicPartition::topic).reversed().thenComparing(TopicPartition::partition))
            .toList();
        Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
        for (TopicPartition of : sorted.subList(1, sorted.size())) {
            ConsumerRecord<byte[], byte[]> record = first.get(of);
            long offset = record.offset() + 1 + 10 * done.size();
            done.put(of, new OffsetAndMetadata(offset, record.leaderEpoch(), NOTE + "wörk in " + of));
        }
        member.commitSync(done);
    }

    private static Map<String, Object> line(String group, ConsumerRecord<byte[], byte[]> record) {
        return Map.of("group", group, "topic", record.topic(), "partition", record.partition(), "offset", record.offset());
    }
}
