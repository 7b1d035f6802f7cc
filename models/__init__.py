"""What a shop, a session, a count and a suggestion are: pure, without Kafka, Faust, clock or environment."""
