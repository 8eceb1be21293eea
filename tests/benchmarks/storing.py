"""What the database costs: opening a long session, rows written, recording a search."""

import statistics
from typing import Any

import numpy as np
import sqlalchemy as sa

from app.figures import figures
from app.recorder import Recorder
from app.services import Lab
from app.ui.components.drawn import message
from app.worker import Worker
from core.config import ExploreConfig, SearchConfig, from_dict
from storage import jobs, sessions
from storage.tables import candidate_rewards, candidates, iterations
from tests.benchmarks.measuring import PROMPT, made_up_session, quantile, scored, temporary_lab, timed
from tests.fakes import fake_toolbox

OPENED = 60
MILLISECONDS = 1000.0


def open_large() -> dict[str, Any]:
    """Opening a session of 100,000 candidates: its view, as the page gets it. Target: 95% within 300 ms."""
    with temporary_lab() as lab:
        record_id = made_up_session(lab, steps=21, iterations=20, candidates=250, own_pictures=False)
        with lab.database.read() as tx:
            rows = tx.execute(sa.select(sa.func.count()).select_from(candidates)).scalar_one()
        opened = message("open", view=lab.session_view(record_id), titles={})
        spent = [timed(lambda: message("open", view=lab.session_view(record_id), titles={})) for _ in range(OPENED)]
        step, chart = _steps_and_charts(lab, record_id)
    walls, cpus = ([MILLISECONDS * getattr(one, clock) for one in spent] for clock in ("wall", "cpu"))
    found = {"candidates": rows, "median_ms": statistics.median(walls), "p95_ms": quantile(walls, 0.95)}
    found |= {"median_cpu_ms": statistics.median(cpus), "view_bytes": len(opened)}
    return found | {"step_p95_ms": step, "charts_p95_ms": chart, "target_p95_ms": 300}


def _steps_and_charts(lab: Lab, record_id: str) -> tuple[float, float]:
    """95% quantiles of milliseconds for another step's candidates and for a step's charts."""

    def charts(step: int) -> None:
        view = lab.charted(record_id, step)
        figures(view, [row for row in view["iterations"] if row["step"] == step], step)

    details = [MILLISECONDS * timed(lambda step=step: lab.step_detail(record_id, step)).wall for step in range(20)]
    drawn = [MILLISECONDS * timed(lambda step=step: charts(step)).wall for step in range(20)]
    return quantile(details, 0.95), quantile(drawn, 0.95)


def write_rows() -> dict[str, Any]:
    """Rows a second: iterations of 250 candidates with two rewards each, one transaction an iteration, files aside."""
    with temporary_lab() as lab:
        config = ExploreConfig(PROMPT, search=SearchConfig(num_candidates=250, num_iterations=40), arms=())
        with lab.database.write() as tx:
            record_id = sessions.create(tx, config)
        recorder = Recorder(lab.database, lab.artifacts, record_id)
        rng = np.random.default_rng(0)
        events = [scored(rng, 0, index, 250, config, 250 * (index + 1)) for index in range(40)]
        files = recorder.keep(events[0])
        spent = timed(lambda: [recorder.save(event, files) for event in events]).wall
        with lab.database.read() as tx:
            tables = (iterations, candidates, candidate_rewards)
            rows = sum(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables)
    return {"rows": rows, "rows_per_second": rows / spent, "iteration_of_250_ms": MILLISECONDS * spent / len(events)}


def recording() -> dict[str, Any]:
    """A default session with an engine that costs nothing: what files, rows and commands cost, and what a poll does."""
    with temporary_lab() as lab:
        with lab.database.write() as tx:
            record_id = sessions.create(tx, from_dict({"prompt": PROMPT}))
            jobs.enqueue(tx, kind="explore", record_id=record_id)
        spent = timed(Worker(lab.database, lab.artifacts, fake_toolbox()).run_one).wall
        view = lab.session_view(record_id) or {}
        events = len(view["iterations"]) + len(view["steps"]) + len(view["arms"]) + 2

        def milliseconds(seq: int | None) -> float:
            spent = [timed(lambda: lab.session_view(record_id, after_seq=seq)).wall for _ in range(50)]
            return MILLISECONDS * statistics.median(spent)

        return {
            "recorded_event_ms": MILLISECONDS * spent / events,
            "view_ms": milliseconds(None),
            "quiet_poll_ms": milliseconds(view["seq"]),
        }
