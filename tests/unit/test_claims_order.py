"""In what order waiting jobs are shown to whoever claims them one by one."""

from models.claims import Waiting, in_fair_order


def order(*waiting: str, **running: int) -> str:
    """Return the order of jobs that are named by their user and when they came."""
    jobs = [Waiting(each[0], each[1:], each) for each in waiting]
    return " ".join(job.job_id for job in in_fair_order(jobs, running))


def test_users_take_turns_and_each_keeps_his_own_order():
    """Fewest running jobs first, then who came first; the order of one user's jobs is his."""
    assert order() == ""
    assert order("a1", "a2", "a3", "b4") == "a1 b4 a2 a3"
    assert order("a1", "a2", "b4", a=2) == "b4 a1 a2"
    assert order("a9", "a1", "b4") == "b4 a9 a1"  # the first of a user's queue is due before what came earlier
