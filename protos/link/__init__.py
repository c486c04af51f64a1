"""The link between an edge node and a pool node: frames, credit, channels, multiplexer."""
