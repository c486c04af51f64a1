"""The pool node: owns the origin connections beside the database and lends them to the edges."""
