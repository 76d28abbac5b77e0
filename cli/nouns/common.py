"""Options that the commands of several nouns share."""

from __future__ import annotations

from cli.line.command import Argument, Completes, Option, Takes

DRY_RUN = Option("dry-run", "Have the registry check it, and change nothing.", Takes.NOTHING)

FILTER = Option("filter", "As the API takes it, e.g. 'kind = openai AND state = active'.", value="FILTER")
SORT = Option("sort", "Fields to sort by, e.g. -create_time,name: a minus sign reverses one.", value="FIELDS")
COLUMNS = Option(
    "columns",
    "Columns to show, e.g. provider,state,labels.team: of the table, or fields.",
    value="NAMES",
)
LISTING = (FILTER, SORT, COLUMNS)

LABEL = Option("label", "A label; without a value it is removed.", Takes.TEXTS, "KEY=VALUE")
DISPLAY_NAME = Option("display-name", "The name that people see.", value="TEXT")

DELETING = (
    Option("yes", "Do not ask; needs --impact-token.", Takes.NOTHING),
    Option(
        "impact-token",
        "The impactToken of a dry run: a changed impact is refused.",
        value="TOKEN",
    ),
    DRY_RUN,
)

CREDENTIAL = (
    Option("credential", "A file that holds the secret.", value="@FILE", completes=Completes.FILES),
    Option("credential-stdin", "Read the secret from stdin.", Takes.NOTHING),
    Option("from-env", "The environment variable that holds the secret.", value="NAME"),
    Option("credential-type", "The type of credential, where the kind takes several.", value="TYPE"),
    Option(
        "credential-field",
        "A field that is not secret, e.g. client_id=….",
        Takes.TEXTS,
        "FIELD=VALUE",
    ),
    *(
        Option(
            name,
            "",
            refused="a secret is never an argument, which others on this machine can see: "
            "use --credential-stdin, --credential @FILE or --from-env NAME",
        )
        for name in ("api-key", "key", "secret", "token", "password", "secret-access-key", "client-secret")
    ),
)

CATALOG_VERSION = Option(
    "catalog-version", "A release, e.g. 2026.04.15. Default: the newest.", value="RELEASE"
)
PLAN_DIGEST = Option(
    "plan-digest",
    "The planDigest of a dry run: a changed plan is refused.",
    value="DIGEST",
)
IDS = Argument("ID", "Upstream ids of the models; all of them if none is given.", Takes.TEXTS, required=False)
OF_PROVIDER = Argument("PROVIDER", "The provider, with or without providers/.", completes=Completes.PROVIDERS)

IMPORT_OPTIONS = (
    CATALOG_VERSION,
    Option("disabled", "Create it disabled.", Takes.NOTHING),
    PLAN_DIGEST,
    DRY_RUN,
)
