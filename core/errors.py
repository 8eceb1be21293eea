"""The one error tree. Standard library only, so that the web process can import it without torch."""


class LabError(Exception):
    """Base of everything the lab raises on purpose; its text is written for the person who reads it."""


class ConfigError(LabError):
    """A setting is out of its range; the message says what was expected and what came."""

    def __init__(self, problems: dict[str, str]):
        """`problems` maps a field's name to what is wrong with it."""
        self.problems = problems
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))


class ModelError(LabError):
    """A model cannot be loaded or gave values that cannot be used."""


class RewardError(LabError):
    """A reward raised, or returned something other than one float per image."""


class SearchError(LabError):
    """A search cannot go on."""


class StorageError(LabError):
    """Something stored is missing, foreign or of another schema."""


class ReadOnly(StorageError):
    """What is stored here can be looked at and not changed."""


class NotFound(StorageError):
    """Nothing is stored under the id that was given."""


class PluginError(LabError):
    """A plug-in file cannot be loaded, or registers something that cannot be."""


class TrainError(LabError):
    """A fine-tune cannot go on; what was stored of it before is intact."""
