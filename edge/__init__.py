"""The edge node: ends the driver's connection near the application and speaks for it over the link."""
