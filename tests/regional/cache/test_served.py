"""What edges count is summed once, whatever links and edges come and go."""

from hypothesis import given
from hypothesis import strategies as st

from protos.link.link_pb2 import Statuses
from regional.cache import served as module
from regional.cache.served import Served
from regional.control import CacheStatus


def said(configuration: str = "demo", uncacheable: dict[str, int] | None = None, **counts: int) -> Statuses:
    return Statuses(configuration=configuration, uncacheable=uncacheable or {}, **counts)


def only(served: Served) -> CacheStatus:
    (status,) = served.totals()
    return status


def test_the_sums_are_those_of_all_edges() -> None:
    served = Served()
    served.take("one", said(hits=8, stale=1, misses=3, entries=2, bytes=100))
    served.take("two", said(hits=1, disabled=4, transaction=5, bypassed=6, entries=1, bytes=50))
    assert only(served) == CacheStatus(
        configuration="demo",
        entries=3,
        bytes=150,
        hits=9,
        stale=1,
        misses=3,
        hit_rate=10 / 13,
        disabled=4,
        transaction=5,
        bypassed=6,
    )


def test_configurations_are_apart_and_in_order() -> None:
    served = Served()
    assert served.totals() == ()
    served.take("one", said("b", hits=1))
    served.take("one", said("a", misses=1))
    assert [(each.configuration, each.hits, each.hit_rate) for each in served.totals()] == [
        ("a", 0, 0.0),
        ("b", 1, 1.0),
    ]


def test_a_rate_of_nothing_is_none() -> None:
    served = Served()
    served.take("one", said(disabled=1))
    assert only(served).hit_rate is None


def test_the_same_word_twice_counts_once_also_over_another_link() -> None:
    served = Served()
    for _ in range(2):
        served.take("one", said(hits=5, uncacheable={"locks rows": 2}))
        served.gone("one")
    served.take("one", said(hits=6, uncacheable={"locks rows": 3}))
    assert (only(served).hits, only(served).reasons) == (6, {"locks rows": 3})


def test_what_a_lost_edge_keeps_is_not_there_and_what_it_counted_is() -> None:
    served = Served()
    served.take("one", said(hits=5, entries=1, bytes=10))
    served.take("two", said(hits=1, entries=1, bytes=10))
    served.gone("one")
    served.gone("never seen")
    assert (only(served).hits, only(served).entries, only(served).bytes) == (6, 1, 10)
    served.take("one", said(hits=5, entries=3, bytes=30))
    assert (only(served).hits, only(served).entries, only(served).bytes) == (6, 4, 40)


def test_an_edge_that_began_again_counts_from_nothing() -> None:
    served = Served()
    served.take("one", said(hits=5))
    served.gone("one")
    served.take("another id", said(hits=2))
    assert only(served).hits == 7
    served.take("one", said(hits=3))  # the same id, although it counts from nothing
    assert only(served).hits == 10


def test_a_configuration_that_is_left_out_is_as_it_was() -> None:
    served = Served()
    served.take("one", said("a", hits=5, entries=2, bytes=9))
    served.take("one", said("b", hits=1))
    assert [(each.hits, each.entries, each.bytes) for each in served.totals()] == [(5, 2, 9), (1, 0, 0)]
    served.gone("one")
    served.take("one", said("b", hits=2))
    assert [(each.hits, each.entries) for each in served.totals()] == [(5, 0), (2, 0)], "its answers went with its link"
    served.take("one", said("a", hits=6, entries=1, bytes=4))
    assert [(each.hits, each.entries) for each in served.totals()] == [(6, 1), (2, 0)]


def test_reasons_are_summed_by_class_the_most_frequent_first() -> None:
    served = Served()
    reasons = {"volatile function: random": 2, "volatile function: nextval": 3, "locks rows": 9, "": 1, "  : x": 1}
    served.take("one", said(uncacheable=reasons))
    assert only(served).uncacheable == 16
    assert list(only(served).reasons.items()) == [("locks rows", 9), ("volatile function", 5), ("other", 2)]


def test_there_are_so_many_classes_and_no_more() -> None:
    served = Served()
    served.take("one", said(uncacheable={f"class {number}: x": 1 for number in range(module.MAX_CLASSES)}))
    assert len(only(served).reasons) == module.MAX_CLASSES
    many = {f"another {number}": 1 for number in range(20)} | {"class 0: y": 1}
    served.take("two", said(uncacheable=many))
    reasons = only(served).reasons
    assert (len(reasons), reasons["other"], reasons["class 0"]) == (module.MAX_CLASSES + 1, 20, 2)


def test_a_class_has_so_many_characters_and_no_more() -> None:
    served = Served()
    served.take("one", said(uncacheable={"long " * 100: 1}))
    (reason,) = only(served).reasons
    assert len(reason) == module.MAX_CLASS_CHARACTERS


def test_the_longest_silent_edge_is_forgotten_first_and_its_counts_stay() -> None:
    served = Served()
    served.take("old", said(hits=1))
    served.take("busy", said(hits=1))
    for number in range(module.MAX_EDGES):
        served.take("busy", said(hits=1))
        served.take(f"edge {number}", said(hits=1))
    assert len(served._edges) == module.MAX_EDGES
    assert "old" not in served._edges
    assert "busy" in served._edges, "it has spoken since"
    assert only(served).hits == module.MAX_EDGES + 2


EDGES = st.sampled_from(["one", "two", "three"])
STEPS = st.lists(st.tuples(EDGES, st.sampled_from(["count", "say", "lose", "begin again"])), max_size=60)


@given(STEPS)
def test_sums_never_fall_and_are_what_was_counted_and_said(steps: list[tuple[str, str]]) -> None:
    """Edges that count, say so, lose their links and begin again under another id."""
    served = Served()
    lives = dict.fromkeys(["one", "two", "three"], 0)
    counted = dict.fromkeys(lives, 0)
    heard: dict[str, int] = {}
    before = 0
    for edge, what in steps:
        node = f"{edge}-{lives[edge]}"
        if what == "count":
            counted[edge] += 1
        elif what == "say":
            served.take(node, said(hits=counted[edge], uncacheable={"x: y": counted[edge]}, entries=1))
            heard[node] = counted[edge]
        elif what == "lose":
            served.gone(node)
        else:
            served.gone(node)
            lives[edge] += 1
            counted[edge] = 0
        for status in served.totals():
            assert status.hits == status.uncacheable == sum(heard.values()) >= before
            assert status.entries <= len(lives)
            before = status.hits
