"""Settings that are floats are stored as such: a page sent 0 where a command line has 0.0; their digests differed."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FLOATS = frozenset(
    [
        "guidance_scale",
        "noise_level",
        "window_min",
        "window_max",
        "elite_fraction",
        "min_std",
        "start_sigma",
        "searched_fraction",
        "learning_rate",
        "weight_decay",
        "max_grad_norm",
        "clip_range",
        "advantage_clip",
        "kl_beta",
        "lora_alpha",
        "ema_decay",
        "max_seconds",
    ]
)
# What a fine-tune's digest leaves out, as it was when this was written.
_LOOKING = ["preset", "eval_every", "sample_every", "watch_every", "checkpoint_every", "max_seconds", "eval_steps"]


def upgrade() -> None:
    """Rewrite the configs that hold whole numbers where floats belong, and the digests by which they are found."""
    connection = op.get_bind()
    for record_id in connection.scalars(sa.select(_records.c.id)).all():  # one at a time: configs may be long
        stored = connection.execute(sa.select(_records.c.kind, _records.c.config).where(_records.c.id == record_id))
        kind, config = stored.one()
        changed = _floats(config)
        if json.dumps(changed) != json.dumps(config):
            values = {"config": changed, "config_hash": _digest(kind, changed)}
            connection.execute(sa.update(_records).where(_records.c.id == record_id).values(values))


def _floats(plain: Any, known: bool = False) -> Any:
    """`known`: numbers in here are floats."""
    if isinstance(plain, dict):
        return {name: _floats(value, known or name in _FLOATS or name == "rewards") for name, value in plain.items()}
    return float(plain) if known and type(plain) is int else plain


def _digest(kind: str, config: dict[str, Any]) -> str:
    plain = json.loads(json.dumps(config))
    if kind == "session":
        usual = ((plain, "search_initial", False), (plain, "reward_sum", "raw"))
        for holder, name, value in (*usual, (plain.get("search", {}), "algorithm", "cem")):
            if holder.get(name) == value:
                del holder[name]
    if kind == "train":
        random = ("search", "searched_fraction") if plain.get("noise_source") == "random" else ()
        for name in (*_LOOKING, *random):
            plain.pop(name, None)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_records = sa.table(
    "records", sa.column("id"), sa.column("kind"), sa.column("config", sa.JSON), sa.column("config_hash")
)
