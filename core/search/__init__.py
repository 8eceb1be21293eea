"""Search distributions over noise as pure ask/tell functions, one file a family."""
