"""The admin endpoint of a pool node: configurations, status, health, metrics over HTTP."""
