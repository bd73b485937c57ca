import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills a Kafka with records of all kinds, as a seed says.
 *
 *     Golden ADDRESS SEED ROUND
 *
 * Round 0 makes the topics; each further one writes some more to them. A transaction is left open at the end.
 */
class Golden {
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final List<String> HEADERS = List.of("trace", "", "schlüssel", "λ", "trace", "a".repeat(300), "😀");
    /** All that a transaction may last. */
    private static final String LONGEST = "900000";
    private static final long HOUR = 3_600_000;

    private final String address;
    private final Random random;
    private final int round;
    private final Admin admin;
    /** How many partitions each topic has. */
    private final Map<String, Integer> topics = new TreeMap<>();
    private long time = System.currentTimeMillis() - 48 * HOUR;

    private Golden(String address, long seed, int round) {
        this.address = address;
        this.random = new Random(seed * 31 + round);
        this.round = round;
        this.admin = Admin.create(Map.of("bootstrap.servers", address));
    }

    public static void main(String[] arguments) throws Exception {
        new Golden(arguments[0], Long.parseLong(arguments[1]), Integer.parseInt(arguments[2])).run(Long.parseLong(arguments[1]));
        // Without a word to the broker: a transaction stays open.
        Runtime.getRuntime().halt(0);
    }

    private void run(long seed) throws Exception {
        describe(new Random(seed));
        plain();
        codecs();
        idempotent();
        transactions("txn", 0);
        compacted();
        transactions("compacted-txn", 12);
        segments();
        shortened();
        big();
        groups();
        remade();
        if (round > 0 || seed % 3 == 0) {
            open();
        }
    }

    // --- topics

    private void describe(Random shape) throws Exception {
        String small = smallSegments();
        Map<String, String> keep = Map.of("retention.ms", "-1", "segment.index.bytes", "" + (1 << (10 + shape.nextInt(6))));
        int partitions = 1 + shape.nextInt(5);
        topic("plain", partitions, keep, Map.of());
        for (String codec : CODECS) {
            topic(codec, 1, keep, shape.nextBoolean() ? Map.of() : Map.of("compression.type", codec.replace("none", "uncompressed")));
        }
        topic("mixed", 1, keep, Map.of());
        topic("idempotent", 1 + shape.nextInt(3), keep, Map.of());
        topic("txn", 2, keep, shape.nextBoolean() ? Map.of() : Map.of(small, "50000"));
        Map<String, String> compact = new HashMap<>(keep);
        compact.putAll(Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "segment.ms", "" + HOUR));
        String retention = shape.nextBoolean() ? "86400000" : "" + shape.nextInt(2);
        topic("compacted", 1, compact, Map.of("delete.retention.ms", retention));
        topic("compacted-packed", 1, compact, Map.of("delete.retention.ms", retention, "compression.type", "zstd", small, "4000"));
        topic("compacted-txn", 2, compact, Map.of("delete.retention.ms", retention, small, "" + (4000 + shape.nextInt(3000))));
        topic("compacted-append-time", 1, compact, Map.of("message.timestamp.type", "LogAppendTime", small, "4000"));
        topic("compact-delete", 1, compact, Map.of("cleanup.policy", "compact,delete", "retention.ms", "" + 44 * HOUR));
        topic("log-append-time", 1, keep, Map.of("message.timestamp.type", "LogAppendTime"));
        Map<String, String> often = new HashMap<>(keep);
        often.put("segment.ms", "600000");
        topic("segments", 1, often, Map.of("index.interval.bytes", "" + shape.nextInt(200)));
        topic("tiny-index", 1, keep, Map.of("index.interval.bytes", "1", "segment.index.bytes", "64"));
        topic("future", 1, often, Map.of("message.timestamp.after.max.ms", "" + Long.MAX_VALUE));
        topic("trimmed", 3, often, Map.of());
        topic("expired", 2, often, Map.of("retention.ms", "3600000"));
        topic("sized", 1, often, Map.of("retention.bytes", "" + (2000 + shape.nextInt(20000))));
        topic("big", 1, keep, Map.of("max.message.bytes", "5000000"));
        topic("empty.topic_with-marks", 2, keep, Map.of());
        topic("x".repeat(200), 1, keep, Map.of());
        topic("remade", 2, keep, Map.of());
        topic("gone", 2, keep, Map.of());
    }

    /** The name of the setting that makes small segments, which is another in each version. */
    private String smallSegments() throws Exception {
        for (String name : List.of("internal.segment.bytes", "segment.bytes")) {
            NewTopic probe = new NewTopic("probe", 1, (short) 1).configs(Map.of(name, "500"));
            try {
                admin.createTopics(List.of(probe), new CreateTopicsOptions().validateOnly(true)).all().get();
                return name;
            } catch (Exception refused) {
                // The next one.
            }
        }
        return "flush.messages";
    }

    private void topic(String name, int partitions, Map<String, String> configs, Map<String, String> more) throws Exception {
        topics.put(name, partitions);
        if (round == 0) {
            Map<String, String> all = new HashMap<>(configs);
            all.putAll(more);
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(all))).all().get();
        }
    }

    // --- records

    private KafkaProducer<byte[], byte[]> producer(Object... settings) {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("linger.ms", "" + random.nextInt(30));
        config.put("batch.size", "" + (1 << (6 + random.nextInt(14))));
        config.put("max.request.size", "6000000");
        config.put("enable.idempotence", "false");
        for (int n = 0; n < settings.length; n += 2) {
            config.put(settings[n], settings[n + 1]);
        }
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaProducer<byte[], byte[]> transactional(String id) {
        KafkaProducer<byte[], byte[]> producer =
            // No batch is larger than the smallest segments.
            producer("enable.idempotence", "true", "transactional.id", id, "transaction.timeout.ms", LONGEST, "batch.size", "1000");
        producer.initTransactions();
        return producer;
    }

    private byte[] bytes(int most) {
        byte[] bytes = new byte[random.nextInt(most + 1)];
        if (random.nextBoolean()) {
            random.nextBytes(bytes);
        } else {
            Arrays.fill(bytes, (byte) ('a' + random.nextInt(26)));
        }
        return bytes;
    }

    private byte[] key(int keys) {
        return ("key " + random.nextInt(keys)).getBytes(StandardCharsets.UTF_8);
    }

    private RecordHeaders headers() {
        RecordHeaders headers = new RecordHeaders();
        for (int n = random.nextInt(3) == 0 ? random.nextInt(9) : 0; n > 0; n--) {
            headers.add(HEADERS.get(random.nextInt(HEADERS.size())), random.nextInt(4) == 0 ? null : bytes(20));
        }
        return headers;
    }

    private ProducerRecord<byte[], byte[]> record(String topic, long timestamp, byte[] key, byte[] value) {
        int partition = random.nextInt(topics.get(topic));
        return new ProducerRecord<>(topic, partition, timestamp, key, value, headers());
    }

    private ProducerRecord<byte[], byte[]> any(String topic) {
        byte[] key = random.nextInt(5) == 0 ? null : random.nextInt(5) == 0 ? new byte[0] : bytes(30);
        byte[] value = random.nextInt(8) == 0 ? null : bytes(random.nextInt(20) == 0 ? 6000 : 200);
        return record(topic, time + random.nextInt(100_000), key, value);
    }

    private int some(int most) {
        return (round == 0 ? most / 2 : most / 8) + random.nextInt(1 + most / (round == 0 ? 1 : 4));
    }

    private void plain() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            for (int n = some(300); n > 0; n--) {
                producer.send(any("plain"));
            }
            producer.send(record("plain", 0, null, null));
            for (int n = some(100); n > 0; n--) {
                producer.send(any("log-append-time"));
                producer.send(any("x".repeat(200)));
            }
        }
    }

    private void codecs() throws Exception {
        for (String codec : CODECS) {
            int level = 1 + random.nextInt(9);
            List<Object> settings = new ArrayList<>(List.of("compression.type", codec, "linger.ms", "50"));
            if (!codec.equals("none") && !codec.equals("snappy")) {
                settings.addAll(List.of("compression." + codec + ".level", "" + level));
            }
            settings.addAll(List.of("batch.size", "" + (1 << (10 + random.nextInt(10)))));
            try (KafkaProducer<byte[], byte[]> producer = producer(settings.toArray())) {
                for (int n = some(400); n > 0; n--) {
                    producer.send(any(codec));
                    if (n % 3 == 0) {
                        producer.send(any("mixed"));
                    }
                }
            }
        }
    }

    private void idempotent() {
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
            try (KafkaProducer<byte[], byte[]> producer = producer("enable.idempotence", "true")) {
                for (int m = some(80); m > 0; m--) {
                    producer.send(any("idempotent"));
                    producer.send(any("plain"));
                }
            }
        }
    }

    /** Transactions of several producers, that begin and end in any order; with keys where there are `keys` of them. */
    private void transactions(String topic, int keys) {
        List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
        for (int n = 1 + random.nextInt(4); n > 0; n--) {
            producers.add(transactional(topic + "-" + n));
        }
        boolean[] begun = new boolean[producers.size()];
        try (KafkaProducer<byte[], byte[]> others = producer("batch.size", "1000")) {
            for (int n = some(200); n > 0; n--) {
                int which = random.nextInt(producers.size());
                KafkaProducer<byte[], byte[]> producer = producers.get(which);
                if (!begun[which]) {
                    producer.beginTransaction();
                    begun[which] = true;
                } else if (random.nextInt(5) == 0) {
                    end(producer);
                    begun[which] = false;
                    continue;
                }
                for (int m = random.nextInt(6); m > 0; m--) {
                    producer.send(keys == 0 ? any(topic) : keyed(topic, keys));
                }
                if (random.nextInt(4) == 0) {
                    others.send(keys == 0 ? any(topic) : keyed(topic, keys));
                }
                producer.flush();
                others.flush();
            }
            for (int which = 0; which < begun.length; which++) {
                if (begun[which]) {
                    end(producers.get(which));
                }
            }
        }
        producers.forEach(KafkaProducer::close);
    }

    private void end(KafkaProducer<byte[], byte[]> producer) {
        if (random.nextBoolean()) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    private ProducerRecord<byte[], byte[]> keyed(String topic, int keys) {
        // A little later with each, so that segments are rolled by time.
        time += 60_000;
        return record(topic, time, key(keys), random.nextInt(5) == 0 ? null : bytes(100));
    }

    private void compacted() {
        List<String> all = List.of("compacted", "compacted-packed", "compacted-append-time", "compact-delete");
        for (String topic : all) {
            long before = time;
            String codec = CODECS.get(random.nextInt(CODECS.size()));
            try (KafkaProducer<byte[], byte[]> producer =
                    producer("batch.size", "" + (200 + random.nextInt(2000)), "compression.type", codec)) {
                int keys = 1 + random.nextInt(60);
                for (int n = some(500); n > 0; n--) {
                    producer.send(keyed(topic, random.nextInt(10) == 0 ? 1000 : keys));
                }
            }
            time = before;
        }
    }

    private void segments() {
        try (KafkaProducer<byte[], byte[]> producer = producer("batch.size", "" + (100 + random.nextInt(1000)))) {
            for (int n = some(600); n > 0; n--) {
                long at = time += 20_000;
                producer.send(record("segments", at, key(100), bytes(100)));
                producer.send(record("tiny-index", at, key(100), bytes(20)));
                long later = n == 3 ? Long.MAX_VALUE / 1000 : at + 400L * 24 * HOUR;
                producer.send(record("future", random.nextInt(50) == 0 ? later : at, null, bytes(20)));
            }
        }
    }

    /** Logs whose starts move. */
    private void shortened() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("batch.size", "" + (100 + random.nextInt(3000)))) {
            for (int n = some(500); n > 0; n--) {
                for (String topic : List.of("trimmed", "expired", "sized")) {
                    producer.send(record(topic, time + random.nextInt(1000), key(100), bytes(100)));
                }
                time += 20_000;
            }
        }
        Map<TopicPartition, RecordsToDelete> before = new HashMap<>();
        for (int partition = 0; partition < topics.get("trimmed"); partition++) {
            TopicPartition of = new TopicPartition("trimmed", partition);
            long end = offset(of, OffsetSpec.latest());
            long start = offset(of, OffsetSpec.earliest());
            // Somewhere, or all.
            long to = random.nextInt(6) == 0 ? end : start + random.nextInt((int) (end - start) + 1);
            before.put(of, RecordsToDelete.beforeOffset(to));
        }
        admin.deleteRecords(before).all().get();
    }

    private long offset(TopicPartition of, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(of, spec)).partitionResult(of).get().offset();
    }

    private void big() {
        byte[] noise = new byte[100_000 + random.nextInt(900_000)];
        random.nextBytes(noise);
        String codec = CODECS.get(1 + random.nextInt(CODECS.size() - 1));
        try (KafkaProducer<byte[], byte[]> plain = producer();
                KafkaProducer<byte[], byte[]> packed = producer("compression.type", codec)) {
            plain.send(record("big", time, null, noise));
            packed.send(record("big", time, noise, new byte[3_000_000]));
        }
    }

    // --- groups

    private KafkaConsumer<byte[], byte[]> consumer(String group, String... settings) {
        Properties config = new Properties();
        config.put("bootstrap.servers", address);
        config.put("group.id", group);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        config.put("max.poll.records", "" + (1 + random.nextInt(100)));
        for (int n = 0; n < settings.length; n += 2) {
            config.put(settings[n], settings[n + 1]);
        }
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void groups() throws Exception {
        read(consumer("group-classic"));
        if (round == 0 && random.nextBoolean()) {
            cleanOffsets();
        }
        read(consumer("group-static", "group.instance.id", "one"));
        read(consumer("grüppe λ " + round));
        try {
            read(consumer("group-consumer", "group.protocol", "consumer"));
        } catch (Exception unsupported) {
            System.err.println("no consumer protocol: " + unsupported.getMessage());
        }
        for (int n = 0; n < 4; n++) {
            for (int more = 1 + random.nextInt(5); more > 0; more--) {
                String note = random.nextInt(3) == 0 ? "" : "w\u00f6rk ".repeat(random.nextInt(30));
                TopicPartition of = new TopicPartition("plain", random.nextInt(topics.get("plain")));
                OffsetAndMetadata offset = new OffsetAndMetadata(random.nextInt(500), note);
                admin.alterConsumerGroupOffsets("tool group/" + n, Map.of(of, offset)).all().get();
            }
        }
        admin.alterConsumerGroupOffsets("tool group/gone",
            Map.of(new TopicPartition("plain", 0), new OffsetAndMetadata(1))).all().get();
        admin.deleteConsumerGroups(List.of("tool group/gone")).all().get();
        admin.deleteConsumerGroupOffsets("tool group/3", java.util.Set.of(new TopicPartition("plain", 0))).all().get();
        shareGroup();
        inTransactions();
    }

    /** Has the cleaner look at what groups commit, too. */
    private void cleanOffsets() throws Exception {
        ConfigResource offsets = new ConfigResource(ConfigResource.Type.TOPIC, "__consumer_offsets");
        List<AlterConfigOp> changes = new ArrayList<>();
        Map.of(smallSegments(), "20000", "min.cleanable.dirty.ratio", "0.01").forEach((key, value) ->
            changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(offsets, changes)).all().get();
    }

    private void read(KafkaConsumer<byte[], byte[]> consumer) {
        try (consumer) {
            consumer.subscribe(List.of("plain", "segments", "mixed"));
            long deadline = System.nanoTime() + 20_000_000_000L;
            int polls = 2 + random.nextInt(4);
            while (polls > 0 && System.nanoTime() < deadline) {
                if (!consumer.poll(Duration.ofMillis(200)).isEmpty()) {
                    polls--;
                    consumer.commitSync();
                }
            }
            Map<TopicPartition, OffsetAndMetadata> noted = new HashMap<>();
            for (TopicPartition of : consumer.assignment()) {
                noted.put(of, new OffsetAndMetadata(consumer.position(of), java.util.Optional.of(random.nextInt(2)), "note for " + of));
            }
            if (random.nextBoolean()) {
                consumer.commitSync(noted);
            }
        }
    }

    /** Of versions that have them. */
    private void shareGroup() {
        Map<String, Object> config = Map.of("bootstrap.servers", address, "group.id", "group-share");
        try {
            Class<?> type = Class.forName("org.apache.kafka.clients.consumer.KafkaShareConsumer");
            Class<?> reader = Class.forName("org.apache.kafka.common.serialization.Deserializer");
            Object consumer = type.getConstructor(Map.class, reader, reader)
                .newInstance(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            type.getMethod("subscribe", java.util.Collection.class).invoke(consumer, List.of("plain"));
            type.getMethod("poll", Duration.class).invoke(consumer, Duration.ofMillis(1500));
            type.getMethod("close", Duration.class).invoke(consumer, Duration.ofSeconds(5));
        } catch (ReflectiveOperationException unsupported) {
            System.err.println("no share group: " + unsupported);
        }
    }

    /** Commits of a group in transactions: one that is committed, one that is aborted. */
    private void inTransactions() {
        try (KafkaProducer<byte[], byte[]> producer = transactional("offsets-" + random.nextInt(3))) {
            for (int n = 0; n < 4; n++) {
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
                done.put(new TopicPartition("plain", 0), new OffsetAndMetadata(random.nextInt(300), "in a transaction"));
                producer.sendOffsetsToTransaction(done, new ConsumerGroupMetadata("group-txn"));
                end(producer);
            }
        }
    }

    /** A topic that is deleted with what was committed for it, and made again; and one that is deleted. */
    private void remade() throws Exception {
        for (String topic : List.of("remade", "gone")) {
            TopicPartition of = new TopicPartition(topic, 0);
            try (KafkaProducer<byte[], byte[]> producer = producer()) {
                for (int n = topic.equals("gone") && round > 0 ? 0 : some(50); n > 0; n--) {
                    producer.send(any(topic));
                }
            }
            if (round == 0) {
                admin.alterConsumerGroupOffsets("group-remade", Map.of(of, new OffsetAndMetadata(5))).all().get();
                admin.deleteTopics(List.of(topic)).all().get();
            }
        }
        if (round == 0) {
            topic("remade", 2, Map.of("retention.ms", "-1"), Map.of());
            try (KafkaProducer<byte[], byte[]> producer = producer()) {
                producer.send(new ProducerRecord<>("remade", 0, null, "again".getBytes()));
            }
        }
    }

    /** A transaction that nobody ends, with records behind it; and one with a commit. */
    private void open() {
        KafkaProducer<byte[], byte[]> producer = transactional("left-open-" + round);
        producer.beginTransaction();
        for (int n = 1 + random.nextInt(5); n > 0; n--) {
            producer.send(new ProducerRecord<>("txn", 1, time, null, bytes(50)));
        }
        producer.flush();
        try (KafkaProducer<byte[], byte[]> others = producer()) {
            others.send(new ProducerRecord<>("txn", 1, time, null, bytes(50)));
        }
        producer.sendOffsetsToTransaction(
            Map.of(new TopicPartition("plain", 0), new OffsetAndMetadata(77)), new ConsumerGroupMetadata("group-open"));
        producer.flush();
    }
}
