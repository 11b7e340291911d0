"""What processes do that share a directory with the test that started them."""

from datetime import timedelta
from itertools import count

from models import clock
from models.identity.errors import UserExists
from models.identity.facts import MemberSet, TokenIssued, UserAdded, UserRoleSet
from models.identity.streams import project_stream, user_stream
from models.identity.tokens import new_token
from storage.identity.directory import Directory
from storage.log.database import open_database
from tests.contract.children import Go


def add_users(go: Go, url: str, number: int) -> list[int]:
    """Add so many users whom others add too, and make each a member; return which of them this process has added."""
    directory = Directory(open_database(url))
    go()
    added = []
    for turn in range(number):
        try:
            directory.append(user_stream(f"u{turn}"), UserAdded(), actor="racer")
        except UserExists:
            pass
        else:
            added.append(turn)
        directory.append(project_stream("lab"), MemberSet(user=f"u{turn}", role="viewer"), actor="racer")
    return added


def change_one_user(go: Go, url: str, number: int) -> list[str]:
    """Give the user alice so many tokens, and another role each time; return the ids of the tokens."""
    directory = Directory(open_database(url))
    go()
    ids = []
    for _ in range(number):
        ids.append(directory.issue(user_stream("alice"), ("read",), actor="racer").token_id)
        for role in ("viewer", "operator"):
            directory.append(user_stream("alice"), UserRoleSet(role=role), actor="racer")
    return ids


def use_tokens(go: Go, url: str, token_ids: list[str], number: int) -> int:
    """Say so many times that all of these tokens were used, each time minutes later; return how many are revoked."""
    later = count()
    directory = Directory(open_database(url), lambda: clock.now() + timedelta(minutes=2 * next(later)))
    go()
    for turn in range(number):
        directory.touch(token_ids if turn % 2 else token_ids[::-1])
        directory.revoke(token_ids[turn], actor="racer")
    return sum(listed.token.revoked_at is not None for listed in directory.tokens())


def add_users_for_ever(url: str) -> None:
    """Add users with one token each until this process is killed."""
    directory = Directory(open_database(url))
    for turn in count():
        new = new_token()
        token = TokenIssued(token_id=new.token_id, sha256=new.sha256)
        directory.append(user_stream(f"u{turn}"), UserAdded(), token, actor="killed")
