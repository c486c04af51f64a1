"""What stands for connections and waiters where the pool's cores are tested alone."""

import attrs

from regional.profile import BASE, Profile


@attrs.define(eq=False)
class Connected:
    profile: Profile = BASE
    idle_since: float = 0.0
    expires_at: float = 1e9


@attrs.define(eq=False)
class Waiter:
    profile: Profile = BASE
    mux: object = None
