"""The admin API over HTTP: routes, the bearer token, bounds, and one shape for every error.

Theory of operation: everything but the two health checks needs the token, and is refused without it before anything
is read. A request's body is read up to a bound. Whatever goes wrong becomes `{"error": {"what", "cure", "code"}}`;
only the unforeseen is logged with its traceback, and its text is not sent. `docs/admin-api.md` is the contract for
callers.
"""

from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from regional.admin.draft import read_edge, read_table
from regional.admin.failure import Failure, failure_of
from regional.admin.fields import Fields
from regional.admin.metrics import render
from regional.admin.service import Credentials, Outcome, Service
from regional.admin.token import is_token
from regional.configuration import Configuration, InvalidConfigurationError
from regional.control import Control
from regional.vault import Vault

log = structlog.get_logger(__name__)

# Two PEM chains and a key with their JSON escapes fit in twice over.
MAX_BODY_BYTES: Final = 512 << 10
BODY_TIMEOUT_S: Final = 15.0
OPEN_PATHS: Final = ("/livez", "/readyz")
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def make_app(vault: Vault, control: Control, token: str, *, allow_plain_origin: bool = False) -> Starlette:
    """The application, to be served by `regional.admin.server.serve`."""
    service = Service(vault, control, lambda: datetime.now(UTC), allow_plain_origin=allow_plain_origin)
    api = _Api(service, control)
    one = "/v1/configurations/{name}"
    routes = [
        Route("/livez", _guarded(api.live), methods=["GET"]),
        Route("/readyz", _guarded(api.ready), methods=["GET"]),
        Route("/metrics", _guarded(api.metrics), methods=["GET"]),
        Route("/v1/status", _guarded(api.status), methods=["GET"]),
        Route("/v1/configurations", _guarded(api.list), methods=["GET"]),
        Route("/v1/configurations", _guarded(api.create), methods=["POST"]),
        Route(one, _guarded(api.get), methods=["GET"]),
        Route(one, _guarded(api.change), methods=["PATCH"]),
        Route(one, _guarded(api.delete), methods=["DELETE"]),
        Route(one + "/rotate", _guarded(api.rotate), methods=["POST"]),
        Route(one + "/restart", _guarded(api.restart), methods=["POST"]),
        Route(one + "/purge", _guarded(api.purge), methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Authentication, token=token)],
        exception_handlers={HTTPException: _http_exception},
    )


class _Api:
    """One method for each route."""

    def __init__(self, service: Service, control: Control) -> None:
        self._service = service
        self._control = control

    async def live(self, _: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(self, _: Request) -> Response:
        ready = self._control.status().ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        return Response(render(self._control.status()), media_type=METRICS_TYPE)

    async def status(self, _: Request) -> Response:
        return _answer(self._control.status())

    async def list(self, _: Request) -> Response:
        configurations, broken = await self._service.list()
        shown = [_shown(configuration) for configuration in configurations]
        damaged = [{"name": name, "what": what} for name, what in broken.items()]
        return _answer({"configurations": shown, "broken": damaged})

    async def create(self, request: Request) -> Response:
        made = await self._service.create(await _body(request))
        log.info("configuration created", configuration=made.configuration.name)
        return _answer(_outcome(made), 201)

    async def get(self, request: Request) -> Response:
        configuration, _ = await self._service.get(_name(request))
        return _answer(_shown(configuration))

    async def change(self, request: Request) -> Response:
        changed = await self._service.change(_name(request), await _body(request))
        log.info("configuration changed", configuration=_name(request), version=changed.configuration.version)
        return _answer(_outcome(changed))

    async def rotate(self, request: Request) -> Response:
        fields, given = Fields(), await _body(request, may_be_empty=True)
        fields.refuse_unknown(given, ("edge",))
        edge = read_edge(fields, given)
        if fields.problems:
            raise InvalidConfigurationError(fields.problems)
        rotated = await self._service.rotate(_name(request), edge)
        log.info("configuration has new credentials", configuration=_name(request))
        return _answer(_outcome(rotated))

    async def restart(self, request: Request) -> Response:
        await self._service.restart(_name(request))
        log.info("configuration restarted", configuration=_name(request))
        return _answer({"name": _name(request)})

    async def purge(self, request: Request) -> Response:
        fields, given = Fields(), await _body(request, may_be_empty=True)
        table = read_table(fields, given)
        if fields.problems:
            raise InvalidConfigurationError(fields.problems)
        edges = await self._service.purge(_name(request), table)
        log.info("cached answers purged", configuration=_name(request), table=table, edges=edges)
        return _answer({"name": _name(request), "table": table, "edges": edges})

    async def delete(self, request: Request) -> Response:
        acknowledgement = await self._service.delete(_name(request))
        log.info("configuration deleted", configuration=_name(request))
        return _answer({"name": _name(request), **msgspec.structs.asdict(acknowledgement)})


class _Authentication:
    """Lets nobody past without the token, the health checks apart."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not self._is_allowed(scope):
            failure = Failure(401, "unauthorized", "the bearer token is missing or wrong", "give the pool node's token")
            response = _failed(failure)
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(values) != 1:
            return False
        scheme, _, given = values[0].partition(b" ")
        return scheme.lower() == b"bearer" and is_token(given.strip(), self._token)


def _guarded(endpoint: Endpoint) -> Endpoint:
    """The boundary: what an endpoint raises is translated here, once."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HTTPException:
            raise
        except ClientDisconnect:  # nobody reads this answer
            return _failed(Failure(400, "gone", "the caller left", "stay"))
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                log.exception("admin request failed", request=endpoint.__name__)
                failure = Failure(500, "internal", "internal error in the pool node", "see its log")
            elif failure.status >= 500:
                log.warning("admin request failed", request=endpoint.__name__, why=failure.what)
            return _failed(failure)

    return guarded


async def _http_exception(_: Request, error: Exception) -> Response:
    """What Starlette itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    failure = Failure(
        error.status_code, codes.get(error.status_code, "refused"), str(error.detail), "see the API's page"
    )
    response = _failed(failure)
    response.headers.update(error.headers or {})
    return response


async def _body(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The request's JSON object, read up to a bound of size and time."""
    content = bytearray()
    with trio.move_on_after(BODY_TIMEOUT_S) as scope:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    raise Failure(413, "too_large", "the body is too large", f"send at most {MAX_BODY_BYTES} bytes")
    if scope.cancelled_caught:
        raise Failure(408, "too_slow", "the body did not come in time", "send it at once")
    if may_be_empty and not content.strip():
        return {}
    try:
        body: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):  # their text may quote the body
        raise Failure(400, "not_json", "the body is no JSON object", "send an object, such as {}") from None
    return body


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    return name[:64]  # longer than any name of ours: not found, and no longer than that in an error


def _shown(configuration: Configuration) -> dict[str, Any]:
    """A configuration as callers see it: the verifier is nobody's business."""
    shown: dict[str, Any] = msgspec.to_builtins(configuration)
    del shown["verifier"]
    return shown


def _outcome(outcome: Outcome) -> dict[str, Any]:
    answer = {"configuration": _shown(outcome.configuration), **msgspec.structs.asdict(outcome.acknowledgement)}
    if isinstance(outcome, Credentials):
        answer["user"] = outcome.configuration.user
        answer["password"] = outcome.password
        answer["connection_string"] = outcome.connection_string
    return answer


def _answer(content: object, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(content) + b"\n", status, headers, media_type="application/json")


def _failed(failure: Failure) -> Response:
    error: dict[str, Any] = {"what": failure.what, "cure": failure.cure, "code": failure.code}
    if failure.problems:
        error["problems"] = failure.problems
    return _answer({"error": error}, failure.status)
