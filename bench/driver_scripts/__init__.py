"""What common drivers and ORMs do, as short scripts: each plays them with its own defaults and checks the results."""
