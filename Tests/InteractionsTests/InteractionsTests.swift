// InteractionsTests
