"""The science: search, stochastic steps, estimates, models, rewards. No pages and no storage."""
