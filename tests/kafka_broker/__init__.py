"""A real Apache Kafka for the tests and the demo: one KRaft node on loopback, jars from Maven Central."""
