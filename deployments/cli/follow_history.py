"""`quledger history --follow`: each event of a job as it is appended."""

import contextlib
import json
import time

from deployments.cli import render
from models.clock import to_text
from models.event_text import what_happened
from models.job import FINAL
from tasks.services import Services

LOOK_SECONDS = 0.3


def follow_history(services: Services, job_id: str, *, as_json: bool) -> None:
    """Print the events of a job until it has ended, or somebody presses Ctrl-C."""
    seq = -1
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            # Asked first: what is appended in between is printed all the same.
            has_ended = services.log.get(job_id).state in FINAL
            for event in services.log.history_after(job_id, seq):
                seq = event.seq
                if as_json:
                    print(json.dumps(render.event_value(event)), flush=True)
                else:
                    when = to_text(event.recorded_at)[11:23]
                    line = f"{when}  {event.seq:>3}  attempt {event.attempt}  {event.kind}  {what_happened(event)}"
                    render.print_line(line, style="")
            if has_ended:
                return
            time.sleep(LOOK_SECONDS)
