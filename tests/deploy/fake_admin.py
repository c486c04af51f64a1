"""An admin endpoint that answers as it is told and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import attrs

TOKEN: Final = "the-token"
CONNECTION_STRING: Final = "postgres://ot_user:pass-word@127.0.0.1:6432/demo"

CONFIGURATION: Final[dict[str, Any]] = {
    "name": "demo",
    "origin": {
        "host": "db",
        "port": 5432,
        "alternates": [{"host": "::1", "port": 5433}],
        "database": "app",
        "user": "me",
        "sslrootcert": "-----BEGIN\n-----END\n",
        "sslcert": None,
    },
    "origin_connection_limit": 20,
    "session_state": "track",
    "early": {"begin": True, "prepare": True, "settings": True, "catalog": True},
    "caching": {
        "disabled": False,
        "max_age": 60.0,
        "stale_while_revalidate": 15.0,
        "stale_if_unreachable": 3600.0,
        "in_transactions": True,
        "tables": {"public.prices": 2.0, "audit": 0.0},
        "follow_writes": False,
    },
    "user": "ot_user",
    "credentials_version": 1,
    "modified_on": "2026-11-22T03:00:00.5Z",
}


@attrs.frozen
class Asked:
    """One request."""

    method: str
    path: str
    body: Any
    authorization: str | None


@attrs.define
class FakeAdmin:
    """Answers by (method, path); 404 otherwise."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, Any]] = attrs.field(factory=dict)
    asked: list[Asked] = attrs.field(factory=list)

    def answer(self, method: str, path: str, content: object, status: int = 200) -> None:
        self.answers[method, path] = (status, content)

    def refuse(self, method: str, path: str, status: int, code: str) -> None:
        self.answer(method, path, {"error": {"what": f"it is {code}", "cure": "its cure", "code": code}}, status)


@contextmanager
def open_fake_admin() -> Iterator[FakeAdmin]:
    fake = FakeAdmin()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            authorization = self.headers.get("Authorization")
            fake.asked.append(Asked(self.command, self.path, json.loads(content) if content else None, authorization))
            missing = (404, {"error": {"what": "nothing here", "cure": "none", "code": "not_found"}})
            status, answer = fake.answers.get((self.command, self.path), missing)
            if authorization != f"Bearer {TOKEN}":
                status, answer = 401, {"error": {"what": "no", "cure": "no", "code": "unauthorized"}}
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = respond  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
