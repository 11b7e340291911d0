"""Jobs that have an id before they are handed in, and their inputs; the policy is asked here as in `calls.py`."""

from models.errors import UnknownJob
from models.identity.access import PROVEN_SOURCE, Act, Caller, Thing, why_not
from models.identity.errors import NotPermitted
from storage.uploads.registrations import Registration, Registrations
from storage.uploads.secrets import shared_secret
from tasks.services import Services


class Registered:
    """What is registered at one laboratory. What is here blocks, and is called in a thread."""

    def __init__(self, services: Services) -> None:
        self._log = services.log
        engine = services.log.engine
        self._registrations = Registrations(engine)
        self.secret = shared_secret(engine, "oqtopus")

    def register(self, caller: Caller) -> str:
        """Return an id for a job of the caller's to come.

        Raises:
            NotPermitted: he may hand in none.
            TooManyRegistered: he has too many.
        """
        if why := why_not(caller, Act.SUBMIT, Thing.job(caller.user, PROVEN_SOURCE, "")):
            raise NotPermitted(why)
        return self._registrations.register(caller.user)

    def get(self, caller: Caller, job_id: str) -> Registration:
        """Return what the caller has registered.

        Raises:
            UnknownJob: he has not, or it is a job by now.
        """
        found = self._registrations.get(job_id)
        if found.user != caller.user or self._is_job(job_id):
            raise UnknownJob(job_id)
        return found

    def fill(self, job_id: str, content: bytes) -> None:
        """Keep the input of a job, whoever brings it: he has shown a signature.

        Raises:
            UnknownJob: it is no registration (any more).
            UploadedBefore: it has another input.
            TooManyRegistered: its user keeps too much here already.
        """
        if self._is_job(job_id):
            raise UnknownJob(job_id)
        self._registrations.fill(job_id, content)

    def remove(self, job_id: str) -> None:
        """Forget a registration: it became a job."""
        self._registrations.remove(job_id)

    def _is_job(self, job_id: str) -> bool:
        """Say whether it was handed in; what was killed then had no time to forget the registration."""
        return bool(self._log.known([job_id]))
