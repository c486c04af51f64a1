"""Following the store: what another pool node of the same store has changed becomes effective here too.

The store counts its changes, and asking for that number is cheap; only when it has grown are the configurations read.
"""

from typing import Final

import structlog
import trio

from regional.secrets import SecretError
from regional.store import StoreError
from regional.tenants import Tenants
from regional.vault import Vault

PERIOD_S: Final = 1.0

log = structlog.get_logger(__name__)


async def load(tenants: Tenants, vault: Vault) -> None:
    """Make effective what the store holds. Raises StoreError, SecretError. Cancellation: safe."""
    while True:
        before = tenants.changes
        kept, broken = await trio.to_thread.run_sync(vault.load)
        if tenants.changes == before:  # else what was read may be older than what the admin API has just done
            break
    for record in broken:
        log.error("configuration cannot be used", configuration=record.name, why=record.what)
    for configuration, secret in kept:
        tenant = tenants.get(configuration.name)
        if tenant is None or tenant.configuration.version < configuration.version:
            tenants.put(configuration, secret)
    names = {configuration.name for configuration, _ in kept}
    for tenant in list(tenants):
        name = tenant.configuration.name
        if name not in names and not tenant.is_withdrawn:
            tenants.withdraw(name, tenant.configuration.version + 1)


async def follow(tenants: Tenants, vault: Vault) -> None:
    """Until cancelled. A store that is away is tried again; what is known stays in force."""
    revision = -1
    is_away = False
    while True:
        try:
            now = await trio.to_thread.run_sync(vault.revision)
            if now != revision:
                await load(tenants, vault)
            revision, is_away = now, False
        except (StoreError, SecretError) as error:
            if not is_away:
                log.warning("the store cannot be read; what is known stays in force", why=str(error))
            is_away = True
        await trio.sleep(PERIOD_S)
