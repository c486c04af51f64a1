"""Every row of design §10 has its class, and no error's own text reaches a client."""

import pytest

from protos import errors
from protos.errors import Fault, RemoteProtocolError, ServiceError

SUBCLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ServiceError)]

# What design §10 and the contract between the modules promise: SQLSTATE and severity.
PROMISED = {
    "RemoteProtocolError": ("08P01", "FATAL"),
    "UnsupportedProtocolError": ("0A000", "FATAL"),
    "IdleInTransactionError": ("25P03", "FATAL"),
    "StatementMemoryError": ("53200", "ERROR"),
    "InvalidPasswordError": ("28P01", "FATAL"),
    "NotAllowedError": ("28000", "FATAL"),
    "UnknownConfigurationError": ("3D000", "FATAL"),
    "CheckoutTimeoutError": ("53300", "ERROR"),
    "TooManyClientsError": ("53300", "FATAL"),
    "TooManyWaitersError": ("53300", "ERROR"),
    "QueryCancelledError": ("57014", "ERROR"),
    "DrainingError": ("57P01", "FATAL"),
    "NotReadyError": ("57P03", "FATAL"),
    "ConnectionLostError": ("08006", "FATAL"),
    "OriginRefusedError": ("08006", "ERROR"),
    "UnsupportedError": ("0A000", "ERROR"),
    "InvalidParameterError": ("22023", "FATAL"),
}


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_promised_sqlstate_and_severity(name: str) -> None:
    error = getattr(errors, name)
    assert (error.sqlstate, error.severity) == PROMISED[name]


@pytest.mark.parametrize("error", SUBCLASSES, ids=lambda error: error.__name__)
def test_every_error_says_whose_fault_it_is_and_what_may_be_read(error: type[ServiceError]) -> None:
    assert isinstance(error.fault, Fault)
    assert error.public_message
    assert len(error.sqlstate) == 5
    assert error.severity in {"ERROR", "FATAL"}
    assert error.__name__.endswith("Error")
    assert error is ServiceError or error.public_message != ServiceError.public_message


def test_the_own_text_stays_apart_from_the_public_one() -> None:
    error = errors.CheckoutTimeoutError("pool x: waited 15 s", detail="20 in use", hint="raise the limit")
    assert str(error) == "pool x: waited 15 s"
    assert error.public_message == "timed out waiting for a database connection"
    assert (error.detail, error.hint) == ("20 in use", "raise the limit")


def test_public_text_of_one_error_leaves_its_class_alone() -> None:
    error = RemoteProtocolError("log", public="invalid frontend message type 33")
    assert error.public_message == "invalid frontend message type 33"
    assert RemoteProtocolError.public_message == "protocol violation"


def test_an_error_raised_without_words_still_says_something_in_the_log() -> None:
    assert str(errors.DrainingError()) == errors.DrainingError.public_message


def test_our_own_bugs_are_no_service_errors() -> None:
    assert not issubclass(errors.LocalProtocolError, ServiceError)
