"""Both tiers together: what crosses between them, and what they promise only as a whole."""
