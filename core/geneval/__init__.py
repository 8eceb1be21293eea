"""GenEval (Ghosh et al. 2023, arXiv 2310.11513): prompts whose truth can be checked, and how it is checked."""
