"""The pool node's part of the query cache: what may be kept at an edge, and what a write makes of it."""
