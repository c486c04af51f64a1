"""The edge node: ends the driver's connection near the application and speaks for it over the link."""

import protos  # noqa: F401 - sets what gRPC reads when it is imported
