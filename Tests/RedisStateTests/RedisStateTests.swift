// RedisStateTests
