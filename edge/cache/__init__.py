"""The query cache: answers that are kept at this edge, and served without a crossing."""
