"""One line, and never a secret."""

import click
import pytest

from deploy.complaint import CommandError, WrongUseError, one_line, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:secret@host/db", "postgres://***@host/db"),
        ("two postgres://u:se/c@re:t@host/db words", "two postgres://***@host/db words"),
        ("host=h password=secret&x=1", "host=h password=***&x=1"),
        ("nothing to hide: http://127.0.0.1:6433", "nothing to hide: http://127.0.0.1:6433"),
    ],
)
def test_user_information_and_passwords_are_left_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_complaint_says_what_and_cure_in_one_line() -> None:
    assert one_line(CommandError("it is\n taken", "give another")) == "onetrip: it is taken; give another"
    assert one_line(CommandError("it failed")) == "onetrip: it failed"


def test_statuses_tell_wrong_use_from_failure() -> None:
    assert CommandError("x").exit_code == 1
    assert WrongUseError("x").exit_code == 2


def test_clicks_own_sentences_take_our_form() -> None:
    assert (
        one_line(click.UsageError("Missing option '--pool'."))
        == "onetrip: missing option '--pool'; see 'onetrip --help'"
    )
