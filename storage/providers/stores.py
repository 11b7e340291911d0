"""The storages of one laboratory: each job stays with the one through which it came."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Self

from models.errors import BadName, StorageError, StorageInactive, StorageUnavailable, echo
from storage.providers.protocol import StorageProvider
from storage.providers.registry import probe

Expect = Callable[[str, StorageProvider, bool], bool]
"""Says whether it is known what a storage (its name, it, is it the first one?) has to be; raises `StorageLost`."""

Opener = Callable[[], StorageProvider]
"""Returns the storage, opened at the first call, or raises `StorageUnavailable`, also where it is switched off."""


class StorageLost(StorageUnavailable):
    """A storage is empty that should not be: its disk is not mounted, or somebody has emptied it."""


class Stores:
    """Storages by name; the first one is for jobs that name none.

    Attributes:
        names: in the order of the settings, then as they were found; a single storage may have the empty name.
    """

    def __init__(
        self,
        openers: Mapping[str, Opener],
        find: Callable[[], Mapping[str, Opener]] | None = None,
        expect: Expect = lambda _name, _storage, _is_first: True,
    ) -> None:
        """Know these storages.

        Args:
            find: looks for more, by their names; one that was found once stays.
            expect: is asked of each before it is lent, until it is known.
        """
        self._openers = dict(openers)
        self._find = find
        self._expect = expect
        self._expected: set[str] = set()
        self.names = list(self._openers)

    def find(self) -> None:
        """Look whether there are more storages by now."""
        if self._find is not None:
            self._openers = {**self._find(), **self._openers}
            self.names += [name for name in self._openers if name not in self.names]

    @classmethod
    def single(cls, storage: StorageProvider) -> Self:
        """Return the one storage as all there are."""
        return cls({"": lambda: storage})

    def of(self, name: str) -> StorageProvider:
        """Return the storage of this name, the first one for the empty name.

        Raises:
            StorageUnavailable: there is none of this name (any more), or it cannot be used now.
        """
        opener = self._openers.get(self.full(name))
        if opener is None:
            where = "is not among the settings; QULEDGER_STORAGE has to name it"
            if self._find is not None:
                where = "is neither among the settings nor a block that PREFECT_API_URL shows"
            msg = f"the storage {echo(name)} {where}"
            raise StorageUnavailable(msg)
        storage, full = opener(), self.full(name)
        if full not in self._expected and self._expect(full, storage, full == self.names[0]):
            self._expected.add(full)
        return storage

    def doubt(self, name: str) -> None:
        """Have a storage looked at again before it is next lent."""
        self._expected.discard(self.full(name))

    def take_as_new(self) -> list[str]:
        """Lend those that are lost, since somebody has said that they are new; return their names."""
        taken = []
        for name in self.names:
            try:
                self.of(name)
            except StorageLost:
                self._expected.add(name)
                taken.append(name)
            except StorageError:
                continue
        return taken

    def expect(self, name: str) -> None:
        """Make sure that there is a storage of this name.

        Raises:
            BadName: there is none.
        """
        if name not in self.names:
            named = ", ".join(filter(None, self.names))
            there = f"there are: {named}" if named else "the only one has no name"
            raise BadName(f"there is no storage {echo(name)}; {there}")

    def full(self, name: str) -> str:
        """Return the name by which a storage is set: that of the first one for the empty name."""
        return name or self.names[0]

    def troubles(self, names: Iterable[str]) -> dict[str, StorageError]:
        """Ask storages whether they take documents now; return what is wrong, by their names.

        One that is switched off is left out: that was meant.
        """
        found: dict[str, StorageError] = {}
        for name in names:
            try:
                probe(self.of(name))
            except StorageInactive:
                continue
            except StorageError as error:
                found[name] = error
        return found


def once(opener: Opener) -> Opener:
    """Return an opener that calls another one at its first call, and returns the same storage ever after."""
    lock = threading.Lock()
    opened: list[StorageProvider] = []

    def open_once() -> StorageProvider:
        with lock:
            if not opened:
                opened.append(opener())
            return opened[0]

    return open_once
