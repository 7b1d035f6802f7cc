"""One stage as a Quix Streams application, as its documentation shows one: a dataframe a topic, a function a message.

Quix hands over message by message. The kernel keeps sessions and counts in this process: a kill loses them. Quix's own
state would be durable, and costs a lookup, a decoding, an encoding and a write for each key that an event touches.
"""

from functools import partial
from typing import Any

from peer import Peer, peer_from_command_line
from quixstreams import Application
from single_stage import SingleStage

from models.parameters import DEFAULTS
from models.records import Kind


def application_of(peer: Peer, stage: SingleStage) -> Application:
    """Return the application with a dataframe for each input topic."""

    def serve(kind: Kind, value: bytes, key: Any, timestamp: int, headers: Any) -> bytes | None:
        return stage.serve([kind], [value], [timestamp])[0]

    app = Application(
        broker_address=peer.servers,
        consumer_group=peer.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        state_dir=peer.folder / "state",
        producer_extra_config={"compression.type": "lz4", "linger.ms": 5},
        loglevel="WARNING",
    )
    output = app.topic(peer.output, key_serializer="bytes", value_serializer="bytes")
    for name, kind in peer.inputs.items():
        events = app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="bytes"))
        suggestions = events.apply(partial(serve, kind), metadata=True)
        suggestions.filter(lambda suggestion: suggestion is not None).to_topic(output)
    return app


def main() -> None:
    """Run until all events are served, then leave."""
    peer, stage = peer_from_command_line(), SingleStage(DEFAULTS)
    application_of(peer, stage).run(count=peer.events, collect=False)
    peer.leave(stage.item_events())


if __name__ == "__main__":
    main()
