// RedisState
