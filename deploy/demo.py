"""The configuration `demo` of `onetrip dev`, and the queries that show it works. Everything here blocks."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from deploy.addresses import Address, format_address
from deploy.admin_client import AdminClient, configuration_path
from deploy.dev_directory import DevDirectory

NAME: Final = "demo"
DATABASE: Final = "demo"
CREDENTIALS: Final = "credentials"
CONNECT_TIMEOUT_S: Final = 5


@attrs.frozen
class Demo:
    """What clients log in with."""

    user: str
    password: str = attrs.field(repr=False)

    def at(self, address: Address) -> str:
        """The connection string by way of one edge."""
        return f"postgres://{self.user}:{self.password}@{format_address(address)}/{NAME}"


def configure(client: AdminClient, directory: DevDirectory, origin: Mapping[str, Any]) -> Demo:
    """Make the configuration, or point the one that is there to the origin; the credentials stay as they were."""
    present = {each["name"]: each for each in client.request("GET", "/configurations")["configurations"]}
    if NAME not in present:
        answer = client.request("POST", "/configurations", {"name": NAME, "origin": origin})
        return _kept(directory, answer)
    client.request("PATCH", configuration_path(NAME), {"origin": origin})
    user, _, rest = (directory.recall(CREDENTIALS) or "").partition(":")
    version, _, password = rest.partition(":")
    if password and user == present[NAME]["user"] and version == str(present[NAME]["credentials_version"]):
        return Demo(user, password)
    # Somebody rotated them, or we ended before they were kept.
    return _kept(directory, client.request("POST", configuration_path(NAME, "rotate"), {}))


def _kept(directory: DevDirectory, answer: Mapping[str, Any]) -> Demo:
    parts = urlsplit(answer["connection_string"])
    demo = Demo(parts.username or "", parts.password or "")
    version = answer["configuration"]["credentials_version"]
    directory.keep(CREDENTIALS, f"{demo.user}:{version}:{demo.password}")
    return demo


def create_database(url: str) -> None:
    """Make the demo's database, if it is not there."""
    import psycopg

    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True) as connection:
        row = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
        if row is None:
            connection.execute(f"create database {DATABASE}")


def query(string: str) -> str | None:
    """Ask the database something through the edge; what went wrong, None when it answered."""
    import psycopg

    try:
        # Said explicitly: PGSSLMODE and the like are the operator's, for other servers.
        with psycopg.connect(
            string, connect_timeout=CONNECT_TIMEOUT_S, sslmode="disable", gssencmode="disable"
        ) as connection:
            connection.execute("select 1").fetchone()
    except psycopg.Error as error:
        return str(error)
    return None
