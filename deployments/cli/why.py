"""`quledger why`: what a job waits for, and when it goes on."""

from deployments.cli.existing import existing
from deployments.cli.output import Json, print_output
from deployments.cli.render import print_line
from tasks.jobs import why as reasons


def why(job_id: str, *, as_json: Json = False) -> int:
    """Show why a job stands where it does: its place in line, what holds it, when it is expected to start and end.

    Args:
        job_id: The job's id, or as much of its beginning as tells it from others.
    """
    services = existing()
    said = reasons.why(services, services.log.get(services.log.id_of(job_id)))

    def show() -> None:
        print_line(f"job {said.job_id} is {said.state}", "bold")
        for line in said.sentences():
            print_line(line, "")

    print_output(said.model_dump(mode="json") | {"lines": said.sentences()}, show, as_json=as_json)
    return 0
