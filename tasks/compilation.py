"""The second task: experiments -> the program that will really run, and its hash."""

import secrets

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.facts import Compiled
from models.job import State
from storage import failpoints
from tasks.jobs.attempt import Attempt
from tasks.jobs.step import step

SEED_BITS = 53
"""The largest seed that every JSON reader keeps exactly (RFC 8259, section 6)."""


@task(name="compilation", cache_policy=NO_CACHE, persist_result=False)
@step("compilation", when=State.VALIDATED)
async def compilation(attempt: Attempt) -> str:
    """Settle what will run, the seed of every unseeded choice included."""
    seed = secrets.randbits(SEED_BITS)
    answer = await attempt.process.call("compile", seed=seed)
    attempt.seed = seed
    await attempt.record(
        Compiled(program_sha256=answer["program_sha256"], program_bytes=len(answer["program"]), seed=seed)
    )
    failpoints.point("compilation.appended")
    return f"compiled: program {answer['program_sha256'][:12]}, {len(answer['program'])} bytes"
