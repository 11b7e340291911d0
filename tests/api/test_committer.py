"""Things that come at the same time are done together."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from deployments.api.committer import Committer


def test_what_comes_while_a_group_is_done_is_the_next_group() -> None:
    """However many callers there are, the disk is asked twice."""
    groups: list[list[int]] = []
    begun, free = threading.Event(), threading.Event()

    def commit(things: Sequence[int]) -> list[int]:
        groups.append(list(things))
        begun.set()
        free.wait(10)
        return [10 * each for each in things]

    async def run() -> list[Sequence[int]]:
        committer: Committer[int, int] = Committer(commit)
        tasks = [asyncio.create_task(committer.put([1]))]
        await asyncio.to_thread(begun.wait, 10)
        tasks += [asyncio.create_task(committer.put(each)) for each in ([2, 3], [4])]
        await asyncio.sleep(0)
        free.set()
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(run()) == [[10], [20, 30], [40]]
    assert groups == [[1], [2, 3, 4]]


def test_a_caller_that_goes_away_takes_nothing_back() -> None:
    """It may have been told already that the job is there."""
    done: list[int] = []

    def commit(things: Sequence[int]) -> list[int]:
        done.extend(things)
        return list(things)

    async def run() -> None:
        committer: Committer[int, int] = Committer(commit)
        task = asyncio.create_task(committer.put([1]))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await committer.close()

    asyncio.run(run())
    assert done == [1]


def test_an_error_is_told_to_all_of_its_group_and_to_no_other() -> None:
    """The next group is tried again."""

    def commit(things: Sequence[int]) -> list[int]:
        if 1 in things:
            msg = "no"
            raise OSError(msg)
        return list(things)

    async def run() -> Sequence[int]:
        committer: Committer[int, int] = Committer(commit)
        with pytest.raises(OSError, match="no"):
            await committer.put([1])
        return await committer.put([2])

    assert asyncio.run(run()) == [2]
