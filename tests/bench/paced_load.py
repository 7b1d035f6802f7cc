"""Sends messages at a steady rate, whether or not anybody keeps up: a program of its own, for `latency`.

It reads a file of messages, says ``ready``, and waits for a line with the moment of the first one, in epoch seconds.
Each record is stamped with the moment at which it should have been sent. What it prints last says how late it was.
"""

import gc
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from time import sleep, time

import msgspec
import numpy as np
from bench_topics import new_producer

__all__ = ["write_messages"]

_MILLISECOND_S = 0.001
#: As librdkafka's own default: a front-end does not wait longer to fill a batch.
_LINGER_MS = 5


def write_messages(file: Path, messages: list[tuple[str, bytes, bytes]]) -> None:
    """Write what is to be sent: of each message topic, key and value."""
    file.write_bytes(msgspec.msgpack.encode(messages))


def main() -> None:
    """Send all messages of a file."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--servers", required=True)
    parser.add_argument("--messages", type=Path, required=True, help="as `write_messages` writes it")
    parser.add_argument("--rate", type=float, required=True, help="messages a second")
    parser.add_argument("--compression", default="none")
    flags = parser.parse_args()
    messages = msgspec.msgpack.decode(flags.messages.read_bytes(), type=list[tuple[str, bytes, bytes]])
    producer = new_producer(flags.servers, **{"linger.ms": _LINGER_MS, "compression.type": flags.compression})
    for topic in {topic for topic, _, _ in messages}:
        producer.list_topics(topic, timeout=10)
    gc.freeze()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    first_s, rate = float(sys.stdin.readline()), flags.rate
    failures = 0

    def note_failure(error: object, message: object) -> None:
        nonlocal failures
        failures += 1

    late: list[float] = []
    sent = 0
    while sent < len(messages):
        now = time()
        due = min(len(messages), int((now - first_s) * rate) + 1) if now >= first_s else 0
        for number in range(sent, due):
            topic, key, value = messages[number]
            at = first_s + number / rate
            late.append(now - at)
            producer.produce(topic, value, key, timestamp=int(at * 1000), on_delivery=note_failure)
        sent = max(sent, due)
        producer.poll(0)
        sleep(_MILLISECOND_S)
    left = producer.flush(30)
    report = {"late_p99_ms": float(np.percentile(late, 99)) * 1000, "failed": failures + left}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
