"""Brokers that Sidecart can start by itself: Apache Kafka from its Maven artefacts, and the embedded one."""
