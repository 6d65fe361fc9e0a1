// RecordDecoding
