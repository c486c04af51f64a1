"""Real nodes for the tests: a pool node, an edge without and an edge with TLS, and the command, as processes.

`house` is one of each for the whole run, with every configuration that the driver tests use. A test that disturbs its
nodes starts its own with `open_house`, or a single one with `Workplace.start`. Nothing here touches the state of the
person who runs the tests: HOME, the state directory, `ONETRIP_…` and `PG…` are replaced.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs
import pytest
from click.testing import CliRunner

from deploy.command import onetrip
from tests.support.certificates import Certificate, self_signed
from tests.support.cluster import Origin
from tests.support.process import Process, free_port
from tests.support.target import port_of

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT_S: Final = 45.0
LOOPBACK: Final = "127.0.0.1"
# Nothing in the tests is worth the half minute that a drain may take.
NODE_OPTIONS: Final = ("--insecure", "--drain-timeout", "5")


@attrs.define
class Workplace:
    """A directory in which nodes and commands run, with an environment of their own."""

    directory: Path
    processes: ExitStack
    _started: int = 0

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONETRIP_", "PG"))}
        return kept | {
            "HOME": str(self.directory),
            "XDG_STATE_HOME": str(self.directory / "state"),
            "PYTHONPATH": str(ROOT),
            # A bug of ours in a node should show its traceback where the test fails.
            "ONETRIP_DEBUG": "1",
        }

    def start(
        self, *arguments: str, env: dict[str, str] | None = None, program: Sequence[str] = ("-m", "deploy")
    ) -> Process:
        """Start `onetrip ARGUMENTS`; it is killed when the workplace is left. program: how Python runs the command."""
        self._started += 1
        log = self.directory / f"{self._started}-{arguments[0]}.log"
        command = [sys.executable, *program, *arguments]
        process = Process(command, log=log, env=self.environment | (env or {}))
        self.processes.callback(process.kill)
        return process

    def run(
        self, *arguments: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `onetrip ARGUMENTS` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "deploy", *arguments],
            check=False,
            capture_output=True,
            text=True,
            input=stdin,
            cwd=self.directory,
            env=self.environment | (env or {}),
            timeout=COMMAND_TIMEOUT_S,
        )


@contextmanager
def workplace(directory: Path) -> Iterator[Workplace]:
    """A place to start processes; all of them are killed at the end."""
    with ExitStack() as processes:
        yield Workplace(directory, processes)


@attrs.define
class House:
    """A running pool node and its two edges, the second with TLS."""

    place: Workplace
    certificate: Certificate
    """Of the second edge, and the CA file that verifies it."""

    pool: Process
    edge: Process
    tls_edge: Process
    link_port: int
    admin_port: int
    secrets: set[str] = attrs.field(factory=set, repr=False)
    """Passwords that no node may ever have written anywhere."""

    @property
    def nodes(self) -> tuple[Process, ...]:
        return self.edge, self.tls_edge, self.pool

    @property
    def edge_port(self) -> int:
        return port_of(self.edge.ready())

    @property
    def tls_edge_port(self) -> int:
        return port_of(self.tls_edge.ready())

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a client command against this pool node."""
        return self.place.run(*arguments, "--admin", f"http://{LOOPBACK}:{self.admin_port}", stdin=stdin)

    def create(self, name: str, origin_url: str, *options: str) -> str:
        """Make a configuration; the connection string, which names the edge without TLS.

        The command runs in this process: most of what one of its own would take is its imports.
        """
        edge, admin = f"{LOOPBACK}:{self.edge_port}", f"http://{LOOPBACK}:{self.admin_port}"
        arguments = ["config", "create", name, "--origin", "-", "--edge", edge, *options, "--admin", admin]
        kept = self.place.environment
        runner = CliRunner(env={**dict.fromkeys(os.environ.keys() - kept.keys()), **kept})
        made = runner.invoke(onetrip, arguments, input=origin_url)
        assert made.exit_code == 0, (made.stderr, made.exception)
        connection_string = made.stdout.strip()
        for url in (origin_url, connection_string):
            quoted = urlsplit(url).password or ""
            self.secrets.update({quoted, unquote(quoted)} - {""})
        return connection_string

    def restart_pool(self) -> None:
        """Let the pool node die, and start it again where the edges look for it."""
        self.pool.kill()
        self.pool = _start_pool(self.place, self.link_port, self.admin_port)
        self.pool.ready()


def _start_pool(place: Workplace, link_port: int, admin_port: int) -> Process:
    listen = ("--listen", f"{LOOPBACK}:{link_port}", "--admin-listen", f"{LOOPBACK}:{admin_port}")
    store = f"sqlite:///{place.directory / 'store.db'}"
    return place.start("pool", *listen, "--store", store, *NODE_OPTIONS)


@contextmanager
def open_house(directory: Path) -> Iterator[House]:
    """Start a pool node and two edges that are linked to it."""
    certificate = self_signed(directory, "edge")
    link_port, admin_port = free_port(), free_port()
    edge_options = ("edge", "--listen", f"{LOOPBACK}:0", "--pool", f"{LOOPBACK}:{link_port}", *NODE_OPTIONS)
    tls_options = ("--tls-cert", str(certificate.cert_file), "--tls-key", str(certificate.key_file))
    with workplace(directory) as place:
        running = House(
            place=place,
            certificate=certificate,
            pool=_start_pool(place, link_port, admin_port),
            edge=place.start(*edge_options),
            tls_edge=place.start(*edge_options, *tls_options),
            link_port=link_port,
            admin_port=admin_port,
        )
        for node in running.nodes:
            node.ready()
        yield running


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The nodes that the driver tests share."""
    with open_house(tmp_path_factory.mktemp("house")) as running:
        yield running
        for node in running.nodes:
            assert node.stop() == 0, node.log
            assert len(node.stdout.splitlines()) == 1, "a node's stdout is its READY line alone"
            assert [secret for secret in running.secrets if secret in node.log] == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    """An empty workplace of this test's own."""
    with workplace(tmp_path) as own:
        yield own


@pytest.fixture(scope="session")
def configuration(house: House, origin: Origin) -> str:
    """The connection string of the configuration that the driver tests use."""
    return house.create("app", origin.url())
