"""Text-to-image models behind one small protocol. Import the submodules: the registry alone does without torch."""
