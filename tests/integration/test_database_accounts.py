"""The shipped accounts of PostgreSQL: each command runs with its own, and with no more than it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.harness import ROOT, Instance, instance
from tests.support.servers.postgresql import PostgresServer

ROLES_FILE = ROOT / "deploy" / "postgresql" / "roles.sql"
ROLES = ("codevector_migrate", "codevector_serve", "codevector_read")
CALL_SECONDS = 60


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create_database()
    for _ in range(2):
        postgres_server.execute(ROLES_FILE.read_text(), database=name)
    yield name
    postgres_server.drop_database(name)
    for role in ROLES:
        postgres_server.execute(f"DROP ROLE {role}")


@contextmanager
def installed(server: PostgresServer, database: str) -> Iterator[Instance]:
    """Migrated by one account, to be served by another."""

    def url(role: str) -> str:
        return server.url(database).replace("postgres@", f"{role}@")

    with instance({"CODEVECTOR_DATABASE_URL": url("codevector_migrate")}) as made:
        made.environment["CODEVECTOR_DATABASE_URL"] = url("codevector_serve")
        yield made


def create(made: Instance, name: str) -> None:
    request = pb.CreateProviderRequest(
        provider=provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI),
        credential=provider_pb2.CredentialInput(
            api_key=provider_pb2.ApiKeyCredential(api_key="sk-" + "a" * 20)
        ),
    )
    made.providers.CreateProvider(request, timeout=CALL_SECONDS)


def test_accounts_do_what_they_are_for_and_no_more(postgres_server: PostgresServer, database: str) -> None:
    with installed(postgres_server, database) as made:
        made.start_kms()
        made.start_service()
        create(made, "By the account that serves")
        request = pb.DeleteProviderRequest(name="providers/by-the-account-that-serves")
        made.providers.DeleteProvider(request, timeout=CALL_SECONDS)
        made.stop_service()
        made.execute("service", "migrate")
        checked = made.run("service", "db", "check")
        assert checked.returncode == 0, checked.stderr
        assert checked.stdout.endswith("there is nothing to migrate\n")

        made.environment["CODEVECTOR_DATABASE_URL"] = postgres_server.url(database).replace(
            "postgres@", "codevector_read@"
        )
        refused = made.run("service")
        assert refused.returncode == 1
        assert "refuses this account a right: grant it" in refused.stderr
        assert "Traceback" not in refused.stderr

    server = postgres_server.url(database)
    for role, statement in (
        ("codevector_serve", "CREATE TABLE mine (id int)"),
        ("codevector_serve", "ALTER TABLE providers ADD COLUMN mine int"),
        ("codevector_serve", "TRUNCATE providers"),
        ("codevector_read", "UPDATE providers SET revision = revision"),
        ("codevector_read", "DELETE FROM data_keys"),
    ):
        with (
            psycopg.connect(server.replace("postgres@", f"{role}@")) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())
    with psycopg.connect(server.replace("postgres@", "codevector_read@")) as connection:
        assert connection.execute("SELECT count(*) FROM credentials").fetchone() == (0,)


def test_a_newer_schema_that_allows_it_is_served_side_by_side(
    postgres_server: PostgresServer, database: str
) -> None:
    """What a rolling update leaves: the schema of the next program, used by this one and by itself."""
    with installed(postgres_server, database) as made:
        made.start_kms()
        made.start_service()
        create(made, "Before")
        postgres_server.execute(
            """
            SET ROLE codevector_migrate;
            ALTER TABLE providers ADD COLUMN newer text;
            ALTER TABLE change_log ADD COLUMN newer text NOT NULL DEFAULT '';
            CREATE TABLE newer (id int PRIMARY KEY);
            UPDATE alembic_version SET version_num = '9999';
            """,
            database=database,
        )
        create(made, "While the older program runs on")
        made.stop_service()
        made.execute("service", "migrate")
        made.start_service()
        create(made, "After the older program was started again")
        listed = made.providers.ListProviders(pb.ListProvidersRequest(), timeout=CALL_SECONDS)
        assert len(listed.providers) == 3

        made.stop_service()
        postgres_server.execute("UPDATE alembic_version SET oldest_schema = '9999'", database=database)
        refused = made.run("service")
        assert refused.returncode == 1
        assert "newer version of this program: start that version" in refused.stderr
