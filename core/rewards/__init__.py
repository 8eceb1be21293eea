"""Rewards: what a picture is worth for a prompt. Import the submodules: the registry alone does without torch."""
