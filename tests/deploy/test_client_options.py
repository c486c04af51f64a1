"""How answers are printed."""

from deploy.client_options import table


def test_columns_are_aligned_and_figures_stand_at_the_right() -> None:
    rows = [("NAME", "N", "UP"), ("a", "1", "1d02h"), ("long", "200", "3 s"), ("b", "-", "-")]
    assert table(rows).splitlines() == ["NAME    N     UP", "a       1  1d02h", "long  200    3 s", "b       -      -"]


def test_words_and_columns_of_gaps_stand_at_the_left() -> None:
    assert table([("WHEN", "GAP"), ("60 s + 15 s", "-")]).splitlines()[0] == "WHEN         GAP"


def test_a_heading_alone_is_a_table() -> None:
    assert table([("NAME", "N")]) == "NAME  N"
