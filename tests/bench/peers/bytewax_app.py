"""One stage as a Bytewax dataflow, as its documentation shows one on Kafka, the compiled kernel called batch by batch.

`flat_map_batch` hands over what the source has read at once, which is the cheapest way that Bytewax has; its recovery
is off, so a kill loses sessions and counts.
"""

from collections.abc import Iterable

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main
from peer import Peer, peer_from_command_line
from single_stage import SingleStage

from models.parameters import DEFAULTS


def flow_of(peer: Peer, stage: SingleStage) -> Dataflow:
    """Return the dataflow; it ends by itself at the end of the backlog."""

    def serve(messages: list[KafkaSourceMessage[bytes, bytes]]) -> Iterable[KafkaSinkMessage[bytes, bytes]]:
        kinds = [peer.inputs[message.topic] for message in messages]
        timestamps = [message.timestamp[1] for message in messages]
        suggestions = stage.serve(kinds, [message.value for message in messages], timestamps)
        return [
            KafkaSinkMessage(message.key, suggestion)
            for message, suggestion in zip(messages, suggestions, strict=True)
            if suggestion is not None
        ]

    flow = Dataflow(peer.group)
    events = kop.input("events", flow, brokers=[peer.servers], topics=peer.topics, tail=False)
    suggestions = op.flat_map_batch("suggest", events.oks, serve)
    kop.output(
        "suggestions",
        suggestions,
        brokers=[peer.servers],
        topic=peer.output,
        add_config={"compression.type": "lz4", "linger.ms": "5"},
    )
    return flow


def main() -> None:
    """Run the dataflow to its end, then leave."""
    peer, stage = peer_from_command_line(), SingleStage(DEFAULTS)
    cli_main(flow_of(peer, stage))
    peer.leave(stage.item_events())


if __name__ == "__main__":
    main()
