// RecommenderTests
