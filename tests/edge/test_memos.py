"""Answers that are remembered, for how long and how many."""

from edge.memos import CATALOG_AGE_S, MAX_ANSWER_BYTES, MAX_BYTES, Memos, Settings

SETTINGS = Settings([], b"scope", b"state")


def test_an_answer_is_remembered_with_what_it_leaves() -> None:
    memos = Memos()
    assert memos.get("a") is None
    memos.keep("a", b"answer", SETTINGS, ages=False)
    memo = memos.get("a")
    assert memo is not None
    assert (memo.answer, memo.settings) == (b"answer", SETTINGS)
    memos.keep("a", b"better", None, ages=False)
    memo = memos.get("a")
    assert memo is not None
    assert (memo.answer, memo.settings) == (b"better", None)
    memos.forget_all()
    assert memos.get("a") is None


def test_what_is_about_the_catalogue_ages() -> None:
    memos = Memos()
    memos.tick(100.0)
    memos.keep("catalogue", b"", None, ages=True)
    memos.keep("lasting", b"", None, ages=False)
    memos.tick(100.0 + CATALOG_AGE_S - 0.1)
    assert memos.get("catalogue") is not None
    memos.tick(100.0 + CATALOG_AGE_S)
    assert memos.get("catalogue") is None
    assert memos.get("lasting") is not None
    assert len(memos) == 1


def test_the_least_recently_used_make_room() -> None:
    memos = Memos()
    for number in range(100):
        memos.keep(number, b"x" * MAX_ANSWER_BYTES, None, ages=False)
        assert memos.get(0) is not None
    assert memos.get(1) is None
    assert memos.get(99) is not None
    assert len(memos) <= MAX_BYTES // MAX_ANSWER_BYTES
