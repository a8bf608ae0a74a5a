"""The log between agents and server: one contract, two implementations (embedded SQLite, Kafka)."""
