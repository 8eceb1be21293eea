"""The command line: `python -m app COMMAND`; `--help` lists them.

Whatever is wrong with what was asked is told in a sentence on standard error, with exit code 2.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.flags import add_plugin_flag, add_search_flags, read_search, told
from app.measure_flags import add_measure_flags, read_body
from app.own_models import name_models
from app.plugins import check_plugin, load_plugins
from app.settings import EXPERIMENTS, RECORDED, read_settings, settings_of_lab
from app.sweep_flags import FINE_TUNED, add_sweep_flags
from app.train_flags import add_train_flags, read_train
from core import config as settings
from core.errors import ConfigError, LabError

DEMO_PROMPT = "a photo of a red circle left of a blue star"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    asked = _parser(words).parse_args(words)
    try:
        if "plugin" in asked:
            load_plugins(asked.plugin, without_torch=asked.command == "serve")
            named = {"reward_folders": asked.reward_folder, "previews": asked.previews}
            name_models(asked.model_folder, asked.lora, **named)
        return int(asked.run(asked))
    except ConfigError as error:
        for line in told(error.problems):
            print(f"{asked.command}: {line}", file=sys.stderr)
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


def _parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """For these `words`: which flags `sweep` has hangs on what it is to sweep."""
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
    serve.add_argument(
        "--demo",
        action="store_true",
        help="show recordings and nothing else: no worker, nothing can be changed, no data folder is read or written",
    )
    serve.add_argument(
        "--show",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.zip",
        help="with --demo: also show these exported records; repeatable",
    )
    worker = _command(commands, "worker", _worker, "a worker alone, for a lab whose pages run elsewhere")
    worker.add_argument("--supervised", action="store_true", help="end when standard input closes")
    worker.add_argument("--owner", help="the name that this worker's leases carry")
    worker.add_argument(
        "--lane",
        choices=("interactive", "batch"),
        default="interactive",
        help="batch takes one long job at low priority and ends (default: interactive, which starts those itself)",
    )
    search = _command(commands, "search", _search, "one search here and now, with a table of what it gained")
    add_search_flags(search)
    show = _command(commands, "show", _show, "a stored session as tables")
    show.add_argument("record", metavar="RECORD", help="its id, the beginning of it, or `newest`")
    show.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    export = _command(commands, "export", _export, "a stored session as settings, tables and pictures")
    export.add_argument("record", metavar="RECORD", help="its id, the beginning of it, or `newest`")
    export.add_argument("--to", type=Path, metavar="FILE.zip|FOLDER", help="(default: session-ID.zip here)")
    backup = _command(commands, "backup", _backup, "a copy of the database, also while a search runs")
    backup.add_argument("to", type=Path, metavar="FILE|FOLDER", help="a free name; a folder gets a dated one")
    bundle = _command(commands, "bundle", _bundle, "records of any kind as one zip that another lab can import")
    bundle.add_argument("record", metavar="RECORD", nargs="+", help="ids, the beginnings of them, or `newest`")
    bundle.add_argument("--to", type=Path, metavar="FILE.zip", help="(default: lab-ID.zip here)")
    take = _command(commands, "import", _import, "take in such a zip: all of it, or nothing where anything is wrong")
    take.add_argument("file", type=Path, metavar="FILE.zip")
    replay = _command(
        commands, "replay", _replay, "a stored record computed once more: is it the same, where does it part?"
    )
    replay.add_argument("record", metavar="RECORD", help="its id, the beginning of it, or `newest`")
    replay.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
    replay.add_argument(
        "--first",
        type=_positive,
        metavar="N",
        help="so many timesteps of a search, rows of a measurement or epochs of a fine-tune (else all; 1 epoch)",
    )
    replay.add_argument("--tolerance", type=float, default=1e-3, help="what counts as rounding (default: 1e-3)")
    replay.add_argument("--batch-size", type=_positive, metavar="B", help="instead of the stored one")
    replay.add_argument("--threads", type=_positive, metavar="N", help="instead of the stored number")
    fetch = _command(commands, "download", _download, "fetch a model or a reward that is not on this machine")
    fetch.add_argument("name", metavar="NAME", help="of a model or a reward, as `doctor` lists them")
    fetch.add_argument("--accept-licence", action="store_true", help="you have read its makers' licence and accept it")
    fetch.add_argument("--json", action="store_true", help="one JSON object a line instead of a bar")
    fetch.add_argument("--supervised", action="store_true", help="end when standard input closes")
    doctor = _command(commands, "doctor", _doctor, "what this machine has of what the lab needs")
    doctor.add_argument("--model", help="what this model needs, has and will take here, instead")
    doctor.add_argument(
        "--reward", action="append", default=[], metavar="NAME", help="the same of a reward; repeatable"
    )
    check = _command(commands, "check-plugin", _check_plugin, "does what a plug-in brings keep to the rules?")
    check.add_argument("file", type=Path, metavar="FILE.py")
    reliable = _command(commands, "reliability", _reliability, "does an estimate's reward predict the final picture's?")
    reliable.add_argument(
        "--from-array", type=Path, metavar="FILE.npz", help="arrays proxy (P, K, S), truth (P, K[, S]): measure nothing"
    )
    reliable.add_argument("--num-elites", type=int, default=2, help="how many a search would keep (default: 2)")
    reliable.add_argument("--draw", type=int, metavar="k", help="judge searches that see k random candidates of the K")
    reliable.add_argument("--seed", type=int, default=0, help="of the bootstrap and the draws (default: 0)")
    reliable.add_argument("--json", action="store_true", help="JSON instead of a table; measuring, an object a line")
    add_measure_flags(reliable)
    sweep = _command(commands, "sweep", _sweep, "one or two settings of searches, or fine-tunes, varied over seeds")
    add_sweep_flags(sweep, fine_tunes=FINE_TUNED in words)
    train = _command(commands, "train", _train, "one fine-tune here and now, with what it gained")
    add_train_flags(train)
    experiment = _command(commands, "experiment", _experiment, "fine-tunes compared over seeds; resumes where it was")
    known = ", ".join(sorted(path.stem for path in EXPERIMENTS.glob("*.json")))
    experiment.add_argument("name", metavar="NAME", help=f"one of {known}")
    experiment.add_argument("--small", action="store_true", help="a size that shows that it runs, and nothing more")
    experiment.add_argument("--seeds", type=int, metavar="N", help="how many seeds (default: the experiment's)")
    experiment.add_argument("--report", type=Path, metavar="FILE.html", help="one file with plots, tables and settings")
    experiment.add_argument("--results", type=Path, metavar="FILE.json", help="the same as data")
    experiment.add_argument("--no-train", action="store_true", help="only tell what the runs that are there say")
    for command in (serve, worker, search, replay, fetch, doctor, reliable, sweep, train, experiment):
        add_plugin_flag(command)
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


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def _serve(asked: argparse.Namespace) -> int:
    from app.access import read_access
    from app.serve import serve, serve_demo

    access = read_access(asked.host, asked.password_file, os.environ)
    if asked.demo:
        return serve_demo(access, asked.port, asked.show)
    if asked.show:
        raise ConfigError({"show": "exported files are shown by a demonstration alone: expected --demo beside it"})
    return serve(read_settings(asked.data_dir), access, asked.port)


def _worker(asked: argparse.Namespace) -> int:
    from app.worker import work

    return work(read_settings(asked.data_dir), owner=asked.owner, supervised=asked.supervised, lane=asked.lane)


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


def _show(asked: argparse.Namespace) -> int:
    from app.show import open_lab, show

    with closing(open_lab(asked.data_dir)) as lab:
        return show(lab, asked.record, as_json=asked.json, out=sys.stdout)


def _export(asked: argparse.Namespace) -> int:
    from app.export import export
    from app.show import find_session, open_lab

    with closing(open_lab(asked.data_dir)) as lab:
        view = find_session(lab, asked.record)
        print(export(lab, view, asked.to or Path(f"session-{view['id']}.zip")))
    return 0


def _backup(asked: argparse.Namespace) -> int:
    from app.backup import WHOLE, back_up

    print(f"{back_up(settings_of_lab(asked.data_dir), asked.to)} ({WHOLE})")
    return 0


def _bundle(asked: argparse.Namespace) -> int:
    from app.hand_command import bundle
    from app.show import open_lab

    with closing(open_lab(asked.data_dir)) as lab:
        return bundle(lab, asked.record, asked.to)


def _import(asked: argparse.Namespace) -> int:
    from app.hand_command import take
    from app.services import Lab

    with closing(Lab(replace(read_settings(asked.data_dir), recorded=None))) as lab:
        return take(lab, asked.file)


def _replay(asked: argparse.Namespace) -> int:
    from app.replay_command import replay_here
    from app.show import open_lab

    how = {"limit": asked.first, "tolerance": asked.tolerance, "batch_size": asked.batch_size, "threads": asked.threads}
    with closing(open_lab(asked.data_dir)) as lab:
        return replay_here(lab, asked.record, as_json=asked.json, **how)


def _download(asked: argparse.Namespace) -> int:
    from app.download_command import run_download

    return run_download(asked.name, accepted=asked.accept_licence, as_json=asked.json, supervised=asked.supervised)


def _doctor(asked: argparse.Namespace) -> int:
    from app.doctor import doctor

    return doctor(read_settings(asked.data_dir), asked.model, asked.reward)


def _check_plugin(asked: argparse.Namespace) -> int:
    return check_plugin(asked.file, read_settings(asked.data_dir).device, sys.stdout)


def _reliability(asked: argparse.Namespace) -> int:
    if asked.from_array is not None:
        from app.reliability import reliability

        return reliability(
            asked.from_array, num_elites=asked.num_elites, draw=asked.draw, seed=asked.seed, as_json=asked.json
        )
    from app.measure_command import measure_here
    from app.services import Lab

    body = read_body(asked)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its record says how it ended
    lab = Lab(read_settings(asked.data_dir))
    try:
        return measure_here(lab, body, as_json=asked.json)
    finally:
        lab.close()


def _sweep(asked: argparse.Namespace) -> int:
    from app.services import Lab
    from app.sweep_command import sweep_here
    from app.sweep_flags import as_written
    from app.sweep_flags import read_body as read_sweep

    body = read_sweep(asked)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its record says how it ended
    with closing(Lab(read_settings(asked.data_dir))) as lab:
        try:
            return sweep_here(lab, body, as_json=asked.json, measure=asked.measure, estimate=asked.estimate)
        except ConfigError as error:
            raise ConfigError(as_written(error.problems, asked.vary)) from None


def _train(asked: argparse.Namespace) -> int:
    from app.services import Lab
    from app.train_command import train_here

    body = {} if asked.resume else read_train(asked)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its record says how it ended
    lab = Lab(read_settings(asked.data_dir))
    try:
        return train_here(lab, body, resume=asked.resume, as_json=asked.json)
    finally:
        lab.close()


def _experiment(asked: argparse.Namespace) -> int:
    from app.experiment_command import run_experiment
    from app.services import Lab

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its record says how it ended
    lab = Lab(read_settings(asked.data_dir))
    how = {"report_to": asked.report, "results_to": asked.results, "train": not asked.no_train}
    try:
        return run_experiment(lab, asked.name, small=asked.small, seeds=asked.seeds, **how)
    finally:
        lab.close()


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
