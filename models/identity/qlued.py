"""What qlued knows of users and tokens, and what of it is to be taken over; what is here already stays as it is.

A token keeps working as it is: its SHA-256 is kept, as of our own.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from models.errors import echo
from models.identity.facts import ControlFact, TokenIssued, UserAdded, UserDisabled
from models.identity.people import Fold, Person
from models.identity.streams import is_name
from models.identity.tokens import LEAST_SECRET, MOST_SECRET, new_token_id, token_sha256
from models.words import count_of


class QluedUser(NamedTuple):
    """A row of qlued's table of users, as it stands there; `row` is its number."""

    row: object
    name: object
    is_active: bool
    is_superuser: bool


class QluedToken(NamedTuple):
    """A row of qlued's table of tokens, as it stands there; `user` is the number of its user's row."""

    row: object
    user: object
    key: object
    is_active: bool


class Step(NamedTuple):
    """What is to be taken over of one user.

    Attributes:
        line: the same for the operator.
    """

    name: str
    is_new: bool
    facts: tuple[ControlFact, ...]
    line: str

    @property
    def tokens(self) -> int:
        """How many tokens the user gets."""
        return sum(isinstance(fact, TokenIssued) for fact in self.facts)

    def missing(self, fold: Fold | None) -> Sequence[ControlFact]:
        """Return which of the facts are still to be appended to the user's stream, which may have changed."""
        known = {token.sha256 for token in fold.tokens.values()} if fold else set()
        return [
            fact for fact in self.facts if (fact.sha256 not in known if isinstance(fact, TokenIssued) else fold is None)
        ]


class Plan(NamedTuple):
    """What is to be done; a sentence for each row that is left out, and for what the operator may want to know."""

    steps: list[Step]
    left_out: list[str]
    notes: list[str]


def plan(
    users: Sequence[QluedUser],
    tokens: Sequence[QluedToken],
    here: Mapping[str, Person],
    known: Collection[str],
) -> Plan:
    """Return what is to be taken over.

    Args:
        here: the users of ours, by name.
        known: the SHA-256 of all tokens that are here, whose ever they are.
    """
    made = Plan([], [], [])
    of_user: dict[object, list[QluedToken]] = {}
    for token in tokens:
        of_user.setdefault(token.user, []).append(token)
    for user in users:
        theirs = of_user.pop(user.row, [])
        if not isinstance(user.name, str) or not is_name(user.name):
            made.left_out.append(
                f"user {echo(user.row)}, {echo(user.name)}, with {count_of(len(theirs), 'token')}: a name here has at"
                " most 100 letters of A-Z and a-z, digits, '_', '.', '@' and '-'"
            )
            continue
        _take(user, user.name, theirs, here.get(user.name), known, made)
    for nobodys in of_user.values():
        made.left_out.extend(f"token {echo(token.row)}: belongs to no user" for token in nobodys)
    return made


def _take(  # noqa: PLR0913 - one user, and what is known of him
    user: QluedUser, name: str, tokens: list[QluedToken], ours: Person | None, known: Collection[str], made: Plan
) -> None:
    own = {token.sha256 for token in ours.tokens.values()} if ours else set()
    facts: list[ControlFact] = []
    if ours is None:
        facts += [UserAdded(origin="qlued")] + ([] if user.is_active else [UserDisabled()])
    for token in tokens:
        which = f"token {echo(token.row)} of {name}"
        if fault := _fault(token.key):
            made.left_out.append(f"{which}: {fault}")
            continue
        sha256 = token_sha256(str(token.key))
        if sha256 in own:
            continue
        if sha256 in known:
            made.left_out.append(f"{which}: is here already, and somebody else's")
        elif not token.is_active:
            made.notes.append(f"{which} is switched off in qlued, and left out; `quledger token new {name}` makes one")
        else:
            facts.append(TokenIssued(token_id=new_token_id(), sha256=sha256, scopes=("read", "submit"), origin="qlued"))
    if user.is_superuser and (ours is None or ours.role != "operator"):
        made.notes.append(f"{name} is a superuser of qlued; `quledger user set {name} --role operator` says so here")
    if facts:
        number = count_of(sum(isinstance(fact, TokenIssued) for fact in facts), "token")
        if ours is None:
            line = f"{name}: a new member{'' if user.is_active else ', disabled as in qlued'}, with {number}"
        else:
            line = f"{name}: is here already, and gets {number}"
        made.steps.append(Step(name, ours is None, tuple(facts), line))


def _fault(key: object) -> str:
    """Return what is wrong with the text of a token, which is never shown; empty where nothing is."""
    if not isinstance(key, str):
        return "is no text"
    if len(key) < LEAST_SECRET:
        return f"has less than {LEAST_SECRET} characters, so that it can be guessed"
    return f"has more than {MOST_SECRET:,} characters" if len(key) > MOST_SECRET else ""
