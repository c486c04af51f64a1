"""The two protocols as sans-IO cores, the errors, and the small runtime that both tiers stand on."""
