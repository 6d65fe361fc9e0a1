// Recommender
