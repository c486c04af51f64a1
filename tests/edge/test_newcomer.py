"""From a client's first byte to its session: nothing it waits for is lost, and no wait is without an end."""

import socket
import ssl
from typing import Final

import pytest
from structlog.testing import capture_logs

from edge.throttle import CANCEL_BURST, Buckets
from protos.link.link_pb2 import Invalidate, Resolution, Resolved, Withdraw
from protos.pg import messages
from protos.pg.login import LoggedIn, Send
from protos.pg.messages import query
from protos.pg.startup import cancel_request, ssl_request, startup_message
from tests.support.certificates import self_signed
from tests.support.stage import PARAMETERS, USER, LoginFailedError, Stage, configuration, done, settings, staged

ASKING: Final = {"DateStyle": "german"}
OTHER: Final = configuration("other", user="ot_other")


# --- connecting costs no crossing ---


def test_a_client_is_told_everything_without_a_crossing(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin()
    told = stage.finish(driver, login)
    assert told.parameters == PARAMETERS
    assert told.process_id > 0
    assert len(told.secret_key) == 4
    assert pool.channels == []
    assert pool.mux.data_batches_in == 0
    assert stage.edge.directory.clients["app"] == 1
    assert not stage.edge.newcomers


def test_the_link_is_roused_while_the_client_computes_its_proof(stage: Stage) -> None:
    pool = stage.up()
    roused: list[str] = []
    pool.uplink.rouse = lambda: roused.append("now")  # type: ignore[method-assign]
    driver, login = stage.begin()
    (first,) = login.receive(driver.read())
    assert isinstance(first, Send)
    assert roused == []
    driver.send(first.data)
    assert roused == ["now"]
    (proof,) = login.receive(driver.read())
    assert isinstance(proof, Send)
    driver.send(proof.data)
    assert roused == ["now"]


def test_no_two_clients_have_the_same_key(stage: Stage) -> None:
    stage.up()
    keys = {(told.process_id, told.secret_key) for told in (stage.finish(*stage.begin()) for _ in range(20))}
    assert len(keys) == 20


def test_a_query_sent_ahead_is_not_lost(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin()
    (first,) = login.receive(driver.read())
    assert isinstance(first, Send)
    driver.send(first.data)
    (proof,) = login.receive(driver.read())
    assert isinstance(proof, Send)
    driver.send(proof.data + query(b"select 1")[:7])
    driver.send(query(b"select 1")[7:])
    assert pool.channel.take() == query(b"select 1")


def test_protocol_3_2_gets_a_long_cancel_key(stage: Stage) -> None:
    stage.up()
    driver, login = stage.begin()
    driver.hang_up()
    driver = stage.dial()
    driver.send(startup_message({"user": USER, "database": "app"}, minor=2))
    login.start()
    told = stage.finish(driver, login)
    assert len(told.secret_key) == 32


# --- startup parameters (rules 6) ---


def test_an_unknown_pair_costs_one_crossing_once_for_all(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        assert stage.proceed(driver, login) is None
    assert [(one.name, one.value) for one in pool.questions[0].settings] == [(b"datestyle", b"german")]
    pool.resolve({"DateStyle": "German, DMY"})
    assert stage.finish(driver, login).parameters == PARAMETERS | {"DateStyle": "German, DMY"}
    again, login = stage.begin(parameters=ASKING)
    assert stage.finish(again, login).parameters["DateStyle"] == "German, DMY"
    assert len(pool.questions) == 1
    assert pool.channels == []


def test_a_value_that_the_origin_refuses_ends_in_its_words(stage: Stage) -> None:
    pool = stage.up()
    for _ in range(2):  # and is asked anew: tomorrow it may be good
        driver, login = stage.begin(parameters={"role": "later"})
        asked = len(pool.questions)
        while len(pool.questions) == asked:
            stage.proceed(driver, login)
        refusal = messages.error_response({"S": "ERROR", "C": "22023", "M": 'role "later" does not exist'})
        resolution = Resolution(setting=pool.questions[-1].settings[0], refusal=refusal)
        pool.say(resolved=Resolved(id=pool.questions[-1].id, resolutions=[resolution]))
        with pytest.raises(LoginFailedError) as caught:
            stage.finish(driver, login)
        assert (caught.value.fields["S"], caught.value.fields["C"]) == ("FATAL", "22023")
        assert caught.value.fields["M"] == 'role "later" does not exist'
    assert not stage.edge.newcomers


def test_an_origin_that_cannot_be_asked_ends_the_login(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        stage.proceed(driver, login)
    error = messages.error_response({"S": "FATAL", "C": "08006", "M": "refused"})
    pool.say(resolved=Resolved(id=pool.questions[0].id, error=error))
    with pytest.raises(LoginFailedError) as caught:
        stage.finish(driver, login)
    assert caught.value.fields["C"] == "08006"


def test_what_was_known_when_asking_may_be_unknown_when_answered(stage: Stage) -> None:
    pool = stage.up()
    first, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        stage.proceed(first, login)
    pool.resolve({"DateStyle": "German, DMY"})
    stage.finish(first, login)

    driver, login = stage.begin(parameters=ASKING | {"TimeZone": "cet"})
    while len(pool.questions) < 2:
        stage.proceed(driver, login)
    assert [one.name for one in pool.questions[1].settings] == [b"timezone"]
    pool.say(invalidate=Invalidate(configuration="app"))
    pool.resolve({"TimeZone": "CET"})
    stage.settle()
    assert [one.name for one in pool.questions[2].settings] == [b"datestyle"], "it is asked again"
    pool.resolve({"DateStyle": "German, MDY"})
    told = stage.finish(driver, login)
    assert (told.parameters["DateStyle"], told.parameters["TimeZone"]) == ("German, MDY", "CET")


def test_a_link_that_is_lost_while_asking_leaves_the_question_to_the_next(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        stage.proceed(driver, login)
    stage.down()
    stage.pass_time(14)
    pool.heard.clear()
    stage.up()
    assert len(pool.questions) == 1
    pool.resolve({"DateStyle": "German, DMY"})
    assert stage.finish(driver, login).parameters["DateStyle"] == "German, DMY"


def test_a_configuration_whose_origin_was_never_reached_asks_for_what_it_reports(stage: Stage) -> None:
    pool = stage.up(configuration(parameters=[]))
    driver, login = stage.begin()
    while not pool.questions:
        stage.proceed(driver, login)
    pool.say(resolved=Resolved(id=pool.questions[0].id, parameters=settings(PARAMETERS)))
    assert stage.finish(driver, login).parameters == PARAMETERS
    assert stage.finish(*stage.begin()).parameters == PARAMETERS
    assert len(pool.questions) == 1


# --- waiting for a pool node ---


def test_a_client_waits_for_the_first_link(stage: Stage) -> None:
    driver, login = stage.begin()
    stage.pass_time(14)
    assert driver.read() == b""
    stage.up()
    assert stage.finish(driver, login).parameters == PARAMETERS


def test_a_client_that_waits_too_long_gets_57p03_and_is_logged_once(stage: Stage) -> None:
    driver, _ = stage.begin()
    with capture_logs() as logs:
        stage.pass_time(16)
    fields = driver.fields()
    assert (fields["S"], fields["C"]) == ("FATAL", "57P03")
    assert "Nothing of this request was run" in fields["D"]
    assert driver.read() == b""
    assert driver.is_closed
    assert len(logs) == 1
    assert not stage.edge.newcomers


def test_nobody_is_judged_before_all_configurations_have_come(stage: Stage) -> None:
    # A client of the second one would be taken for a stranger (rules 27) and refused with a wrong password.
    driver, login = stage.begin(user="ot_other", database="other")
    stage.pool.link()
    stage.pool.welcome(configuration(), announced=2)
    stage.settle()
    assert driver.read() == b""
    stage.pool.say(configuration=OTHER)
    assert isinstance(stage.finish(driver, login), LoggedIn)


def test_a_client_that_waited_is_in_its_handshake_again(stage: Stage) -> None:
    driver, _ = stage.begin()
    stage.pass_time(14)
    stage.up()
    assert driver.tags() == "R"
    with capture_logs() as logs:
        stage.pass_time(16)  # and says nothing more
    assert driver.read() == b""
    assert driver.is_closed
    assert [one["event"] for one in logs] == ["handshake timed out"]


def test_news_of_other_configurations_do_not_make_a_wait_longer(stage: Stage) -> None:
    stage.up(configuration(parameters=[]), OTHER)
    driver, login = stage.begin()
    stage.down()
    while stage.edge.newcomers and not list(stage.edge.limits.waiting()):
        stage.proceed(driver, login)
    driver.read()
    deadlines = dict(stage.edge.limits._waiting._armed)
    assert deadlines
    stage.pool.link()
    stage.pool.welcome(OTHER, announced=2)
    stage.settle()
    assert stage.edge.limits._waiting._armed == deadlines
    stage.down()
    stage.pass_time(16)
    assert driver.fields()["C"] == "57P03"


def test_a_configuration_deleted_while_its_client_waits_is_unknown(stage: Stage) -> None:
    pool = stage.up(configuration(parameters=[]), OTHER)
    driver, login = stage.begin()
    while not pool.questions:
        stage.proceed(driver, login)
    pool.say(withdraw=Withdraw(name="app", version=2))
    pool.say(resolved=Resolved(id=pool.questions[0].id, parameters=settings(PARAMETERS)))
    with pytest.raises(LoginFailedError) as caught:
        stage.finish(driver, login)
    assert caught.value.fields["C"] == "3D000"


def test_a_password_changed_while_its_client_waits_is_wrong(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        stage.proceed(driver, login)
    pool.say(configuration=configuration(version=2, credentials_version=2))
    pool.resolve({"DateStyle": "German, DMY"})
    with pytest.raises(LoginFailedError) as caught:
        stage.finish(driver, login)
    assert caught.value.fields["C"] == "28P01"
    assert not stage.edge.clients


# --- refusals ---


def test_strangers_and_wrong_passwords_look_alike(stage: Stage) -> None:
    stage.up(configuration(), OTHER)
    wrong = stage.refusal(password="wrong")
    stranger = stage.refusal(user="nobody", password="wrong")
    nowhere = stage.refusal(user="nobody", database="nowhere", password="wrong")
    assert wrong["C"] == stranger["C"] == nowhere["C"] == "28P01"
    assert stage.refusal(database="nowhere")["C"] == "3D000"
    assert stage.refusal(database="other")["C"] == "28000"
    assert stage.refusal(database="nowhere", password="wrong")["C"] == "28P01"


def test_no_password_of_a_refused_login_is_logged(stage: Stage) -> None:
    stage.up()
    with capture_logs() as logs:
        stage.refusal(password="a very wrong one")
    assert len(logs) == 1
    assert "a very wrong one" not in repr(logs)


def test_more_clients_than_the_configuration_allows_get_53300(stage: Stage) -> None:
    stage.up(configuration(max_client_connections=2))
    drivers = [stage.connect(), stage.connect()]
    fields = stage.refusal()
    assert (fields["S"], fields["C"]) == ("FATAL", "53300")
    assert "2 client connections" in fields["D"]
    assert "max_client_connections" in fields["H"]
    drivers[0].hang_up()
    stage.connect()


def test_more_clients_than_the_edge_has_room_for_get_53300() -> None:
    with staged(max_clients=1) as stage:
        stage.up()
        first = stage.connect()
        fields = stage.refusal()
        assert fields["C"] == "53300"
        assert "room for 1 client" in fields["D"]
        first.hang_up()
        stage.connect()


# --- bad input ---


def test_a_client_that_stalls_in_the_handshake_is_closed_and_logged_once(stage: Stage) -> None:
    stage.up()
    other = stage.connect()
    silent, halfway = stage.dial(), stage.begin()[0]
    halfway.read()
    with capture_logs() as logs:
        stage.pass_time(14)
        assert logs == []
        stage.pass_time(16)
    for driver in (silent, halfway):
        assert driver.read() == b""
        assert driver.is_closed
    assert [one["event"] for one in logs] == ["handshake timed out"] * 2
    assert not other.is_closed
    assert not stage.edge.newcomers


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x00\x00\x05x", b"\xff" * 100])
def test_garbage_for_a_startup_packet_is_answered_or_closed(stage: Stage, garbage: bytes) -> None:
    stage.up()
    other = stage.connect()
    driver = stage.dial()
    with capture_logs() as logs:
        driver.send(garbage)
    assert driver.read()[:1] in {b"", b"E"}
    assert driver.is_closed
    assert len(logs) == 1
    other.send(query(b"select 1"))
    stage.pool.answer(done())
    assert other.tags() == "CZ"


def test_a_client_that_vanishes_in_the_handshake_leaves_nothing(stage: Stage) -> None:
    stage.up()
    driver, _ = stage.begin()
    driver.hang_up()
    assert not stage.edge.newcomers
    assert len(stage.pump) == 0


def test_a_client_that_vanishes_while_the_origin_is_asked_is_not_let_in(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        stage.proceed(driver, login)
    driver.hang_up()
    pool.resolve({"DateStyle": "German, DMY"})
    stage.settle()
    assert not stage.edge.clients
    assert not stage.edge.newcomers


def test_a_client_that_sends_much_too_early_is_not_read_on(stage: Stage) -> None:
    pool = stage.up()
    driver, login = stage.begin(parameters=ASKING)
    while not pool.questions:
        stage.proceed(driver, login)
    flood = query(b"x" * 500_000) * 8
    driver.send(flood)
    assert driver.unsent_bytes > len(flood) // 2
    pool.resolve({"DateStyle": "German, DMY"})
    stage.settle()
    assert driver.unsent_bytes == 0
    assert pool.channel.take() == flood


def test_a_cancel_request_goes_to_every_pool_node_and_gets_no_answer() -> None:
    with staged(pools=(("pool-1", 1), ("pool-2", 2))) as stage:
        stage.up()
        stage.pools[1].link()
        stage.pools[1].welcome(configuration())
        stage.settle()
        driver = stage.dial()
        driver.send(cancel_request(7, b"secr"))
        assert driver.read() == b""
        assert driver.is_closed
        for pool in stage.pools:
            (cancel,) = [one.cancel for one in pool.heard if one.HasField("cancel")]
            assert (cancel.process_id, cancel.secret_key) == (7, b"secr")


def test_cancel_requests_of_unknown_sessions_are_limited_and_those_of_ours_never_are(stage: Stage) -> None:
    stage.edge.throttle._cancels = Buckets(CANCEL_BURST, refill_s=3600.0)  # none comes back while this runs
    pool = stage.up()
    told = stage.finish(*stage.begin())
    for _ in range(CANCEL_BURST + 5):
        stage.dial().send(cancel_request(7, b"secr"))
    stage.dial().send(cancel_request(told.process_id, told.secret_key))
    cancels = [one.cancel.process_id for one in pool.heard if one.HasField("cancel")]
    assert cancels == [7] * CANCEL_BURST + [told.process_id]


# --- TLS ---


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = self_signed(tmp_path_factory.mktemp("tls"), "edge")
    return {"tls_cert_file": str(made.cert_file), "tls_key_file": str(made.key_file)}


def shaken(stage: Stage, sock: socket.socket, tls: ssl.SSLObject, bios: tuple[ssl.MemoryBIO, ssl.MemoryBIO]) -> None:
    """Do the client's side of a TLS handshake."""
    incoming, outgoing = bios
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            sock.send(outgoing.read())
            stage.settle()
            incoming.write(sock.recv(1 << 16))
        else:
            sock.send(outgoing.read())
            stage.settle()
            return


def test_a_client_logs_in_inside_tls(tls_files: dict[str, str]) -> None:
    with staged(**tls_files) as stage:
        stage.up()
        driver = stage.dial()
        driver.send(ssl_request())
        assert driver.read() == b"S"
        context = ssl.create_default_context(cafile=tls_files["tls_cert_file"])
        bios = (ssl.MemoryBIO(), ssl.MemoryBIO())
        tls = context.wrap_bio(*bios, server_hostname="127.0.0.1")
        shaken(stage, driver.socket, tls, bios)
        tls.write(startup_message({"user": USER, "database": "app"}))
        driver.send(bios[1].read())
        bios[0].write(driver.read())
        asked = tls.read(1000)
        kind, mechanisms = messages.authentication_of(asked)
        assert kind == messages.AUTHENTICATION_SASL
        assert "SCRAM-SHA-256-PLUS" in messages.sasl_mechanisms_of(mechanisms)


def test_a_drain_in_the_middle_of_a_tls_handshake_closes_the_connection(tls_files: dict[str, str]) -> None:
    with staged(**tls_files) as stage:
        stage.up()
        driver = stage.dial()
        driver.send(ssl_request())
        assert driver.read() == b"S"
        (newcomer,) = stage.edge.newcomers
        newcomer.end(stage.edge.too_many_clients())
        assert driver.read() == b""
        assert driver.is_closed
        assert not stage.edge.newcomers


def test_bytes_smuggled_in_before_tls_close_the_connection(tls_files: dict[str, str]) -> None:
    with staged(**tls_files) as stage:
        stage.up()
        driver = stage.dial()
        with capture_logs() as logs:
            driver.send(ssl_request() + startup_message({"user": USER, "database": "app"}))
        assert driver.read() == b""
        assert driver.is_closed
        assert len(logs) == 1


def test_a_clear_text_password_is_not_asked_for_without_tls(stage: Stage) -> None:
    stage.up(configuration(client_auth="password"))
    fields = stage.refusal()
    assert fields["C"] == "28000"
    assert "TLS" in fields["H"] or "SSL" in fields["H"] or "sslmode" in fields["H"]
