"""How Onetrip is started: the onetrip command and everything that it needs."""
