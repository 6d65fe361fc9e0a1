// KafkaIngest
