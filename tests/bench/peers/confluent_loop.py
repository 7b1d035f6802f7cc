"""One stage as a plain loop on confluent-kafka: the least that any Python program on Kafka costs.

Counts and sessions live in this process, and offsets are committed by the clock: a kill loses what was counted, and
may lose what was not yet sent.
"""

from confluent_kafka import Consumer, Producer
from peer import peer_from_command_line
from single_stage import SingleStage

from models.parameters import DEFAULTS

_BATCH = 1000
_POLL_S = 0.1


def main() -> None:
    """Serve all events, then leave."""
    peer = peer_from_command_line()
    stage = SingleStage(DEFAULTS)
    consumer = Consumer(
        {"bootstrap.servers": peer.servers, "group.id": peer.group, "auto.offset.reset": "earliest"},
    )
    producer = Producer(
        {
            "bootstrap.servers": peer.servers,
            "linger.ms": 5,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    consumer.subscribe(peer.topics)
    served = 0
    while served < peer.events:
        messages = [message for message in consumer.consume(_BATCH, _POLL_S) if message.error() is None]
        if not messages:
            continue
        kinds = [peer.inputs[message.topic()] for message in messages]
        timestamps = [message.timestamp()[1] for message in messages]
        suggestions = stage.serve(kinds, [message.value() for message in messages], timestamps)
        for message, suggestion in zip(messages, suggestions, strict=True):
            if suggestion is not None:
                producer.produce(peer.output, suggestion, message.key())
        producer.poll(0)
        served += len(messages)
    producer.flush()
    peer.leave(stage.item_events())
    consumer.close()


if __name__ == "__main__":
    main()
