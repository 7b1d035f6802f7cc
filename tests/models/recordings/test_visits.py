from models.recordings.visits import GAP_MS, Visits

START = 1_511_544_070_000


def test_a_gap_of_exactly_thirty_minutes_is_one_session_and_a_millisecond_more_are_two() -> None:
    visits = Visits()
    visits.add(START, 1, "ann", "browse", "tent")
    visits.add(START + 1_800_000, 2, "ann", "browse", "stove")
    visits.add(START + 3_600_001, 3, "ann", "add-to-cart", "stove")
    assert [each.event["session_id"] for each in visits.recorded()] == ["ann-1", "ann-1", "ann-2"]
    assert GAP_MS == 1_800_000


def test_users_have_their_own_sessions() -> None:
    visits = Visits()
    visits.add(START, 1, "ann", "browse", "tent")
    visits.add(START + GAP_MS, 2, "bob", "browse", "tent")
    visits.add(START + GAP_MS + 1, 3, "ann", "browse", "tent")
    assert [each.event["session_id"] for each in visits.recorded()] == ["ann-1", "bob-1", "ann-2"]


def test_rows_in_any_order_give_the_same_sessions_in_time_order() -> None:
    visits = Visits()
    visits.add(START + GAP_MS + 1, 1, "ann", "browse", "stove")
    visits.add(START, 2, "ann", "browse", "tent")
    assert [(each.event["session_id"], each.event["event_id"], each.time_ms) for each in visits.recorded()] == [
        ("ann-1", "2", START),
        ("ann-2", "1", START + GAP_MS + 1),
    ]


def test_rows_of_the_same_time_stay_in_the_order_of_their_lines() -> None:
    visits = Visits()
    visits.add_order_line(START, 1, "ann", "o", "tent")
    visits.add(START, 2, "ann", "add-to-cart", "stove")
    visits.add(START, 3, "ann", "browse", "stove")
    assert [each.kind for each in visits.recorded()] == ["orders", "add-to-cart", "browse"]


def test_an_order_has_the_earliest_time_and_the_first_line_of_its_rows() -> None:
    visits = Visits()
    visits.add_order_line(START + 484, 5, "ann", "o", "tent")
    visits.add_order_line(START, 9, "ann", "o", "stove")
    [order] = visits.recorded()
    assert order.kind == "orders"
    assert order.event == {
        "event_id": "5",
        "session_id": "ann-1",
        "user_id": "ann",
        "order_id": "ann-o",
        "time": START,
        "lines": [{"item_id": "tent", "quantity": 1}, {"item_id": "stove", "quantity": 1}],
    }


def test_each_row_and_each_order_line_keeps_its_own_category() -> None:
    visits = Visits()
    visits.add(START, 1, "ann", "browse", "tent", "shelter")
    visits.add(START, 2, "ann", "add-to-cart", "stove")
    visits.add_order_line(START, 3, "ann", "o", "stove", "kitchen")
    visits.add_order_line(START, 4, "ann", "o", "rope")
    view, cart, order = (each.event for each in visits.recorded())
    assert view["category"] == "shelter"
    assert "category" not in cart
    assert "category" not in order
    assert order["lines"] == [
        {"item_id": "stove", "quantity": 1, "category": "kitchen"},
        {"item_id": "rope", "quantity": 1},
    ]


def test_the_same_label_of_two_users_is_two_orders() -> None:
    visits = Visits()
    visits.add_order_line(START, 1, "ann", "o", "tent")
    visits.add_order_line(START, 2, "bob", "o", "tent")
    assert [each.event["order_id"] for each in visits.recorded()] == ["ann-o", "bob-o"]


def test_no_rows_are_no_events() -> None:
    assert list(Visits().recorded()) == []
