"""The embedded world: scenes of coloured shapes, their verifier, and the scripts that train its networks."""
