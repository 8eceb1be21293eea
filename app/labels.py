"""What people call a setting: the label that its form has, wherever it is shown. No torch."""

from app.ui import form, train

_LABELS = {
    "session": {field.name: field.label for field in form.FIELDS},
    "train": {field.name: field.label for field in train.FIELDS} | {"reward": "Reward"},
}


def label_of(kind: str, setting: str) -> str:
    """`kind` is a record's: session, train, or reliability, which has a session's settings under "base.". A setting of
    the search may lack its "search." (a search's preset is the session's); one without a field of its own is called by
    its name.
    """
    known, name = _LABELS.get(kind, _LABELS["session"]), setting.removeprefix("base.")
    spoken = name.replace("_", " ").replace(".", ": ")
    ways = (name, f"search.{name}", name.removeprefix("search."))
    return next((known[way] for way in ways if way in known), spoken[:1].upper() + spoken[1:])
