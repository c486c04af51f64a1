"""How the command says what is wrong: one line on stderr, what and its cure, and never a secret.

An outside script reads the exit status, a person the line. 2 is wrong use (click's own usage errors included), 1 is
everything else.
"""

import re
from typing import Final

import click

FAILED: Final = 1
WRONG_USE: Final = 2

# Greedy up to the last '@' of a word: a password may itself hold '@', '/' or ':'.
_USER_INFORMATION: Final = re.compile(r"(?<=://)\S*@")
_PASSWORD_PART: Final = re.compile(r"(?i)((?:password|sslpassword|passwd|token)=)[^&\s'\"]+")


class CommandError(click.ClickException):
    """The command cannot do what it was asked; says what and how to cure it."""

    exit_code = FAILED

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what}; {cure}" if cure else what)
        self.what = what
        self.cure = cure


class WrongUseError(CommandError):
    """The command was called in a way that cannot be meant."""

    exit_code = WRONG_USE


def redacted(text: str) -> str:
    """The text without the user information of URLs and without passwords given as name=value."""
    return _PASSWORD_PART.sub(r"\1***", _USER_INFORMATION.sub("***@", text))


def one_line(error: click.ClickException) -> str:
    """The whole complaint, fit for one line of a terminal or a log."""
    message = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError):
        # click's sentences: a capital first letter and a full stop.
        message = f"{message[:1].lower()}{message[1:]}".rstrip(".")
        path = error.ctx.command_path if error.ctx is not None else "onetrip"
        message += f"; see '{path} --help'"
    return f"onetrip: {redacted(message)}"


def warn(text: str) -> None:
    """Tell the operator, on stderr, of something that went on nevertheless."""
    click.echo(f"onetrip: warning: {redacted(text)}", err=True)
