"""A failing database: units run again where that is safe, and callers learn nothing but that it is away."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from service.domain.errors import AlreadyExists, Reason, Unavailable
from service.store import Store, WriteUnit
from service.store.store import MAX_TRIES
from tests.support.values.registry_values import a_credential, a_provider, a_provider_model

CANARY = "canary-7f3a9d"


def conflict() -> OperationalError:
    return OperationalError(
        "UPDATE secret", {"envelope": CANARY}, psycopg.errors.SerializationFailure(CANARY)
    )


def texts_of(error: BaseException) -> str:
    """Everything that a log would print of an error and of what caused it."""
    parts = []
    at: BaseException | None = error
    while at is not None:
        parts += [str(at), repr(at)]
        at = at.__cause__ or at.__context__
    return "\n".join(parts)


class TestConflicts:
    def test_run_the_unit_again_as_a_whole(self, store: Store) -> None:
        tries = []

        def work(unit: WriteUnit) -> int:
            unit.providers.insert(a_provider("acme"), None)
            tries.append(unit.revision)
            if len(tries) < MAX_TRIES:
                raise conflict()
            return unit.revision

        assert store.write(work) == 1
        assert tries == [1] * MAX_TRIES

    def test_that_do_not_end_are_told_as_such(self, store: Store) -> None:
        def work(unit: WriteUnit) -> None:
            unit.providers.insert(a_provider("acme"), None)
            raise conflict()

        with pytest.raises(Unavailable) as busy:
            store.write(work)
        assert busy.value.reason is Reason.STORE_BUSY
        assert CANARY not in busy.value.message
        assert store.read(lambda unit: unit.providers.get("acme")) is None


class TestTakenNames:
    def test_run_the_unit_once_more_to_ask_who_has_them(self, store: Store) -> None:
        store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))
        tries = []

        def work(unit: WriteUnit) -> None:
            tries.append(unit.revision)
            unit.providers.insert(a_provider("other", display_name="ACME"), None)

        with pytest.raises(AlreadyExists) as taken:
            store.write(work)
        assert taken.value.resource is not None
        assert taken.value.resource.name == "providers/acme"
        assert tries == [2, 2]


class TestErrors:
    def test_never_show_parameters(self, store: Store) -> None:
        with pytest.raises(IntegrityError) as refused:
            store.write(
                lambda unit: unit.provider_models.insert(
                    [a_provider_model(display_name=CANARY, provider_id="nobody")]
                )
            )
        assert CANARY not in texts_of(refused.value)

    def test_of_a_data_key_used_twice_are_bugs(self, store: Store) -> None:
        view, sealed = a_credential()

        def work(unit: WriteUnit) -> None:
            unit.providers.insert(a_provider("a", credential=view), sealed)
            unit.providers.insert(a_provider("b", credential=view), sealed)

        with pytest.raises(IntegrityError):
            store.write(work)
        assert store.read(lambda unit: unit.log.head()).revision == 0
