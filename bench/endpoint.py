"""Where a measuring client connects to, as libpq and pgbench are told it."""

import attrs


@attrs.frozen(kw_only=True)
class Endpoint:
    """One database address with its credentials. The password is shown by no repr and passed by no command line."""

    host: str
    port: int
    user: str
    password: str = attrs.field(repr=False)
    database: str
    sslmode: str = "disable"

    def conninfo(self) -> str:
        """libpq's connection string. Nothing here needs its quoting."""
        return (
            f"host={self.host} port={self.port} user={self.user} password={self.password} dbname={self.database} "
            f"sslmode={self.sslmode} gssencmode=disable connect_timeout=30"
        )

    def environment(self) -> dict[str, str]:
        """libpq's variables, for programs that take them."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
            "PGSSLMODE": self.sslmode,
            "PGGSSENCMODE": "disable",
            "PGCONNECT_TIMEOUT": "30",
        }
