"""How fast the lab is here. Each module holds functions that measure one thing and return named figures."""
