"""PostgreSQL's wire protocol 3, in both roles: bytes in, events out."""
