"""What several kinds of tests share."""

import os

# The suite shares its machine: nothing in it may spread over all cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Imported before torch would be, hence behind the lines above. How long an example takes says how busy the machine is.
from hypothesis import settings  # noqa: E402

settings.register_profile("lab", deadline=None)
settings.load_profile("lab")
