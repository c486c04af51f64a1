"""The pool node: owns the origin connections beside the database and lends them to the edges."""

import protos  # noqa: F401 - sets what gRPC reads when it is imported
