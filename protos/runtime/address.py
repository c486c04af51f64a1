"""How an address is written: HOST:PORT, with brackets around an IPv6 host."""


def authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
