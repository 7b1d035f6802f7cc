"""Equal rows have equal digests, others not."""

from models.cooccurrence import Row
from models.rows_digest import RowsDigest


def digest(*rows: tuple[str, Row]) -> str:
    digested = RowsDigest()
    for item, row in rows:
        digested.add(item, row)
    return digested.hexdigest()


def test_every_field_and_every_item_counts() -> None:
    row = Row(1, 2.0, 3.0, 4.0, {"a": 1.0}, {"a": 1.0}, {}, "c", 0.5)
    others = [
        Row(2, 2.0, 3.0, 4.0, {"a": 1.0}, {"a": 1.0}, {}, "c", 0.5),
        Row(1, 2.0, 3.0, 4.0, {"a": 1.0000000000000002}, {"a": 1.0}, {}, "c", 0.5),
        Row(1, 2.0, 3.0, 4.0, {"a": 1.0}, {"a": 1.0}, {"a": 1.0}, "c", 0.5),
        Row(1, 2.0, 3.0, 4.0, {"a": 1.0}, {"a": 1.0}, {}, None, 0.5),
    ]
    digests = {digest(("x", row)), digest(("y", row)), digest(), *(digest(("x", other)) for other in others)}
    assert len(digests) == 3 + len(others)
