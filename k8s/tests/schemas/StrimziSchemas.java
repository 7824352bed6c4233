import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.BeanPropertyDefinition;
import io.strimzi.api.kafka.model.kafka.Kafka;
import io.strimzi.api.kafka.model.nodepool.KafkaNodePool;
import io.strimzi.api.kafka.model.topic.KafkaTopic;
import io.strimzi.api.kafka.model.user.KafkaUser;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Prints JSON schemas of Strimzi's resources in version v1. Its CRDs are not published as a package, its classes are:
 * what Jackson reads into them is what the operator understands. Kubernetes' own types within them are left open, and
 * what only older versions had is let through: the annotations that tell are not published either.
 */
class StrimziSchemas {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> schemas = new TreeMap<>();
        for (Class<?> kind : List.of(Kafka.class, KafkaNodePool.class, KafkaTopic.class, KafkaUser.class)) {
            Map<String, Object> schema = schema(MAPPER.constructType(kind), new HashSet<>());
            schema.put("required", List.of("apiVersion", "kind", "metadata", "spec"));
            schemas.put("kafka.strimzi.io/v1 " + kind.getSimpleName(), schema);
        }
        System.out.println(MAPPER.writeValueAsString(schemas));
    }

    private static Map<String, Object> schema(JavaType type, Set<Class<?>> outer) {
        Class<?> raw = type.getRawClass();
        if (raw == String.class) return map("type", "string");
        if (raw == boolean.class || raw == Boolean.class) return map("type", "boolean");
        if (raw.isPrimitive() || Number.class.isAssignableFrom(raw)) return map("type", "number");
        if (raw.isEnum()) return map("enum", List.of(MAPPER.convertValue(raw.getEnumConstants(), Object[].class)));
        if (type.isCollectionLikeType()) {
            Map<String, Object> list = map("type", "array");
            list.put("items", schema(type.getContentType(), outer));
            return list;
        }
        if (!raw.getName().startsWith("io.strimzi") || !outer.add(raw)) return new TreeMap<>();
        JsonSubTypes subtypes = raw.getAnnotation(JsonSubTypes.class);
        Map<String, Object> schema = subtypes == null ? bean(type, outer) : choice(subtypes, outer);
        outer.remove(raw);
        return schema;
    }

    private static Map<String, Object> choice(JsonSubTypes subtypes, Set<Class<?>> outer) {
        List<Object> schemas = new ArrayList<>();
        for (JsonSubTypes.Type subtype : subtypes.value()) {
            Map<String, Object> schema = schema(MAPPER.constructType(subtype.value()), outer);
            // The discriminator is the annotation's, whatever the property's own type.
            @SuppressWarnings("unchecked")
            Map<String, Object> properties = (Map<String, Object>) schema.get("properties");
            properties.put("type", map("enum", List.of(subtype.name())));
            schemas.add(schema);
        }
        return map("anyOf", schemas);
    }

    private static Map<String, Object> bean(JavaType type, Set<Class<?>> outer) {
        Map<String, Object> properties = new TreeMap<>();
        for (BeanPropertyDefinition property : MAPPER.getDeserializationConfig().introspect(type).findProperties()) {
            if (property.getPrimaryMember() != null) {
                properties.put(property.getName(), schema(property.getPrimaryType(), outer));
            }
        }
        Map<String, Object> schema = map("type", "object");
        schema.put("properties", properties);
        schema.put("additionalProperties", false);
        return schema;
    }

    private static Map<String, Object> map(String key, Object value) {
        Map<String, Object> map = new TreeMap<>();
        map.put(key, value);
        return map;
    }
}
