// KafkaIngestTests
