import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What a Kafka's client does before and after the broker gets brooklet's files. SUMMARY is a manifest's summary.json.
 *
 *     Topics ADDRESS create SUMMARY MADE         makes its topics, and writes the manifest of what is there then
 *     Topics ADDRESS use SUMMARY READ APPENDED   writes what it reads, appends, has groups go on, and writes what it
 *                                                reads then; to READ also where the groups began
 */
class Topics {
    private static final int OFFSETS_PARTITIONS = 50;
    private static final int APPENDED = 3;
    /** So that Kafka neither removes nor cleans what is to be compared. */
    private static final Map<String, String> KEEP =
        Map.of("retention.ms", "-1", "retention.bytes", "-1", "min.compaction.lag.ms", "" + Long.MAX_VALUE / 2);

    public static void main(String[] arguments) throws Exception {
        String address = arguments[0];
        JsonNode summary = new ObjectMapper().readTree(new File(arguments[2]));
        if (arguments[1].equals("create")) {
            create(address, summary);
        } else {
            Manifest.write(address, Path.of(arguments[3]));
            append(address, summary);
            new Groups(address, summary).goOn(Path.of(arguments[3]));
        }
        Manifest.write(address, Path.of(arguments[arguments.length - 1]));
    }

    private static void create(String address, JsonNode summary) throws Exception {
        Map<String, Integer> partitions = new TreeMap<>();
        for (JsonNode one : summary.get("topics")) {
            int count = one.get("partition").asInt() + 1;
            partitions.merge(one.get("topic").asText(), count, Integer::max);
        }
        partitions.put("__consumer_offsets", OFFSETS_PARTITIONS);
        List<NewTopic> topics = new ArrayList<>();
        partitions.forEach((topic, count) -> {
            Map<String, String> configs = new HashMap<>(KEEP);
            JsonNode own = summary.get("topic_configs").path(topic);
            if (topic.equals("__consumer_offsets")) {
                configs.put("cleanup.policy", "compact");
            }
            own.fieldNames().forEachRemaining(key -> configs.put(key, own.get(key).asText()));
            topics.add(new NewTopic(topic, count, (short) 1).configs(configs));
        });
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            admin.createTopics(topics).all().get();
        }
    }

    private static void append(String address, JsonNode summary) {
        Map<String, Object> config = Map.of("bootstrap.servers", address, "linger.ms", "20", "acks", "all");
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (JsonNode one : summary.get("topics")) {
                String topic = one.get("topic").asText();
                for (int n = 0; n < APPENDED && !topic.startsWith("__"); n++) {
                    int partition = one.get("partition").asInt();
                    producer.send(new ProducerRecord<>(topic, partition, "key " + n, "by Kafka " + n));
                }
            }
        }
    }
}
