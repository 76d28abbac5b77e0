"""What routers are given: the routable provider models from memory, and sealed credentials."""

from __future__ import annotations

import pytest

from service.domain.errors import InvalidArgument, Reason, RegistryError
from service.domain.model import State
from service.readmodel import snapshot
from service.rpc.routing_codec import CODEC
from service.usecases import routing
from service.usecases.context import Context, ListQuery
from service.usecases.provider_models import create_provider_model, set_provider_model_state
from service.usecases.providers import create_provider, set_provider_state
from service.usecases.routing_source import routing_source
from tests.support.values.drafts import an_api_key, openai_draft, provider_draft, provider_model_draft
from tests.support.values.registry_values import A_CALL

NAMES = [f"providers/acme/models/m{number}" for number in range(5)]


def current(ctx: Context) -> snapshot.Snapshot:
    loaded = routing_source(ctx.store).load()
    return snapshot.build(CODEC, loaded.at, loaded.commit_id, loaded.entries)


class TestActive:
    @pytest.fixture(autouse=True)
    def some(self, ctx: Context) -> None:
        create_provider(ctx, A_CALL, provider_draft(), provider_id="acme")
        for number in range(5):
            draft = provider_model_draft(
                upstream_model_id=f"m{number}", labels={"size": "large" if number > 1 else "small"}
            )
            create_provider_model(ctx, A_CALL, "providers/acme", draft)

    @pytest.mark.parametrize("size", [1, 2, 50])
    @pytest.mark.parametrize("text", ["", "labels.size = 'large'"])
    def test_pages_join_up_by_name(self, ctx: Context, size: int, text: str) -> None:
        table = current(ctx)
        found: list[str] = []
        token = ""
        while True:
            page = routing.list_active(ctx, table, ListQuery(size, token, text))
            assert page.token == table.at
            found += [row.entry.name for row in page.rows]
            token = page.next_page_token
            if not token:
                break
        assert found == (NAMES[2:] if text else NAMES)

    def test_later_pages_carry_the_first_ones_token(self, ctx: Context) -> None:
        first = routing.list_active(ctx, current(ctx), ListQuery(page_size=2))
        set_provider_model_state(ctx, A_CALL, NAMES[2], State.DISABLED)
        second = routing.list_active(ctx, current(ctx), ListQuery(50, first.next_page_token))
        assert [row.entry.name for row in second.rows] == NAMES[3:]
        assert second.token == first.token
        assert first.token.revision < current(ctx).revision

    def test_a_filter_that_does_not_parse_is_refused(self, ctx: Context) -> None:
        with pytest.raises(InvalidArgument) as refused:
            routing.list_active(ctx, current(ctx), ListQuery(filter="speed = 3"))
        assert refused.value.reason is Reason.INVALID_FILTER


class TestSealedCredentials:
    def test_each_in_its_place_or_why_not(self, sealing: Context) -> None:
        for each in ("here", "off", "bare"):
            credential = None if each == "bare" else an_api_key()
            create_provider(sealing, A_CALL, openai_draft(display_name=each), credential=credential)
        set_provider_state(sealing, A_CALL, "providers/off", State.DISABLED)
        found = routing.sealed_credentials(
            sealing, ["providers/off", "providers/here", "providers/none", "providers/bare"]
        )
        assert [
            each.reason if isinstance(each, RegistryError) else each.provider.provider_id for each in found
        ] == [Reason.PROVIDER_DISABLED, "here", Reason.RESOURCE_NOT_FOUND, Reason.NO_STORED_CREDENTIAL]

    def test_a_name_of_another_form_is_refused_with_its_place(self, ctx: Context) -> None:
        with pytest.raises(InvalidArgument) as refused:
            routing.sealed_credentials(ctx, ["providers/here", "models/x"])
        assert refused.value.violations[0].field == "providers[1]"
