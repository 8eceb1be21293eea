"""The command line: `python -m app COMMAND`; `--help` lists them.

Whatever is wrong with what was asked is told in a sentence on standard error, with exit code 2.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from app.reuse import labelled, usual
from app.settings import RECORDED, read_settings
from core import config as settings
from core.config import PRESETS, ExploreConfig, SearchConfig
from core.errors import ConfigError, LabError

DEMO_PROMPT = "a photo of a red circle left of a blue star"
# Flags with a form of their own; every other field of a config is a flag of its name.
_OWN_FORM = {"prompt", "rewards", "arms", "search", "preset", "num_steps"}
_CHOICES = {
    "step_kind": settings.STEP_KINDS,
    "reading": settings.READINGS,
    "result": settings.RESULT_MODES,
    "selection": settings.SELECTIONS,
    "estimator": settings.ESTIMATORS,
}
_WHOLE = ("seed", "num_candidates", "num_iterations", "estimator_steps", "batch_size", "threads")
_TYPES: dict[str, type] = dict.fromkeys(_WHOLE, int) | dict.fromkeys(["model", "algorithm", *_CHOICES], str)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except ConfigError as error:
        for field, text in error.problems.items():
            flag = field if field.isupper() else "--" + field.removeprefix("search.").replace("_", "-")
            print(f"{asked.command}: {flag}: {text}", file=sys.stderr)
    except LabError as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Noise Search Lab")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = _command(commands, "serve", _serve, "the pages and their worker")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    serve.add_argument("--port", type=_port, default=7860, help="0 takes any free one (default: 7860)")
    serve.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="the password that visitors are asked for; else LAB_PASSWORD. Needed where others can reach --host",
    )
    serve.add_argument("--demo", action="store_true", help="every visit opens with the recorded session")
    worker = _command(commands, "worker", _worker, "a worker alone, for a lab whose pages run elsewhere")
    worker.add_argument("--supervised", action="store_true", help="end when standard input closes")
    worker.add_argument("--owner", help="the name that this worker's leases carry")
    _add_search_flags(_command(commands, "search", _search, "one search here and now, with a table of what it gained"))
    _command(commands, "doctor", _doctor, "what this machine has of what the lab needs")
    reliable = _command(commands, "reliability", _reliability, "does an estimate's reward predict the final picture's?")
    reliable.add_argument(
        "--from-array", type=Path, required=True, metavar="FILE.npz", help="arrays proxy (P, K, S), truth (P, K[, S])"
    )
    reliable.add_argument("--num-elites", type=int, default=2, help="how many a search would keep (default: 2)")
    reliable.add_argument("--draw", type=int, metavar="k", help="judge searches that see k random candidates of the K")
    reliable.add_argument("--seed", type=int, default=0, help="of the bootstrap and the draws (default: 0)")
    reliable.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    demo = _command(commands, "record-demo", _record_demo, "make the recording that a fresh lab opens with")
    demo.add_argument("--prompt", default=DEMO_PROMPT)
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--folder", type=Path, default=RECORDED)
    return parser


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument("--data-dir", help="where everything is kept (default: LAB_DATA_DIR, else ./data)")
    return command


def _add_search_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", nargs="?", help='such as "a photo of a red circle left of a blue star"')
    parser.add_argument("--prompt", dest="prompt_flag", metavar="PROMPT", help="the same as a flag")
    parser.add_argument("--preset", default="smart-grpo", help=f"one of {', '.join(PRESETS)} (default: smart-grpo)")
    parser.add_argument("--steps", "--num-steps", dest="num_steps", type=int, help="steps from noise to picture")
    parser.add_argument("--window", nargs=2, type=float, metavar=("LOW", "HIGH"), help="noise levels that are searched")
    parser.add_argument("--reward", action="append", type=_reward, metavar="NAME=WEIGHT", help="weight 0 only watches")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help=f"some of {', '.join(settings.ARMS)}")
    parser.add_argument("--no-arms", action="store_true", help="the search alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    for one in (*fields(ExploreConfig), *fields(SearchConfig)):
        if one.name not in _OWN_FORM:
            flag = f"--{one.name.replace('_', '-')}"
            if isinstance(one.default, bool):
                parser.add_argument(flag, action=argparse.BooleanOptionalAction)
            else:
                parser.add_argument(flag, type=_TYPES.get(one.name, float), choices=_CHOICES.get(one.name))


def read_search(asked: argparse.Namespace) -> dict[str, Any]:
    """The plain config that the flags describe. Raises ConfigError for what argparse cannot see."""
    if asked.preset not in PRESETS:
        raise ConfigError({"preset": f"expected one of {', '.join(PRESETS)}, got {asked.preset!r:.60}"})
    if asked.prompt and asked.prompt_flag:
        raise ConfigError({"prompt": "expected it once, got it twice"})
    given = {name: value for name, value in vars(asked).items() if value is not None}
    names = {one.name for one in fields(SearchConfig)} - {"preset"}
    search = replace(PRESETS[asked.preset], **{name: given[name] for name in names & given.keys()})
    search = labelled(search, asked.preset)
    names = {one.name for one in fields(ExploreConfig)} - {"prompt", "search", "arms"}
    prompt = asked.prompt_flag or asked.prompt or ""
    config = replace(usual(asked.preset, prompt), search=search)
    config = replace(config, **{name: given[name] for name in names & given.keys()})
    if asked.window:
        config = replace(config, window_min=asked.window[0], window_max=asked.window[1])
    if asked.reward:
        config = replace(config, rewards=dict(asked.reward))
    if asked.no_arms or asked.arms:
        config = replace(config, arms=() if asked.no_arms else tuple(asked.arms))
    return settings.to_dict(config)


def _reward(text: str) -> tuple[str, float]:
    name, given, weight = text.rpartition("=")
    try:
        return (name, float(weight)) if given else (text, 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected NAME=WEIGHT such as shapes-clip=1, got {text!r}") from None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {text!r}")
    return int(text)


def _serve(asked: argparse.Namespace) -> int:
    from app.access import read_access
    from app.serve import serve

    access = read_access(asked.host, asked.password_file, os.environ)
    return serve(replace(read_settings(asked.data_dir), demo=asked.demo), access, asked.port)


def _worker(asked: argparse.Namespace) -> int:
    from app.worker import work

    return work(read_settings(asked.data_dir), owner=asked.owner, supervised=asked.supervised)


def _search(asked: argparse.Namespace) -> int:
    from app.search import search
    from app.services import Lab

    plain = settings.to_dict(settings.from_dict(read_search(asked)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its record says how it ended
    lab = Lab(read_settings(asked.data_dir))
    try:
        return search(lab, plain, as_json=asked.json)
    finally:
        lab.close()


def _doctor(asked: argparse.Namespace) -> int:
    from app.doctor import doctor

    return doctor(read_settings(asked.data_dir))


def _reliability(asked: argparse.Namespace) -> int:
    from app.reliability import reliability

    return reliability(
        asked.from_array, num_elites=asked.num_elites, draw=asked.draw, seed=asked.seed, as_json=asked.json
    )


def _record_demo(asked: argparse.Namespace) -> int:
    import tempfile

    from app.search import search
    from app.services import Lab

    with tempfile.TemporaryDirectory() as scratch:
        lab = Lab(replace(read_settings(asked.data_dir or scratch), recorded=None))
        try:
            return search(lab, {"prompt": asked.prompt, "seed": asked.seed}, as_json=False, keep_as=asked.folder)
        finally:
            lab.close()


if __name__ == "__main__":
    sys.exit(main())
