"""Bad resources: names, configurations, credentials and models that are refused."""

from __future__ import annotations

import json
from uuid import uuid4

from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.servers.api import (
    API_KEY,
    KINDS,
    SERVICE_ACCOUNT,
    ambient,
    api_key,
    azure,
    bedrock,
    openai_compatible,
    service_account,
    vertex,
    vertex_config,
)
from tests.support.values.bad_input import (
    ABORTED,
    BASE_URL,
    CANARY,
    CHAT,
    EXISTS,
    FAILED,
    HEADERS,
    HOST,
    JSON_KEY,
    OPENAI,
    PRICING,
    Case,
    based,
    configured,
    creating,
    json_file,
    modelled,
    named,
    priced,
    updating,
    updating_model,
    with_credential,
    with_headers,
    with_service_account,
)

REFRESH = pb.ImportProviderModelsRequest.EXISTING_POLICY_REFRESH

NAMES = (
    Case("no-provider", lambda _: pb.CreateProviderRequest(), ("provider",)),
    Case("name-empty", named(""), ("provider.display_name",)),
    Case("name-blank", named("   "), ("provider.display_name",)),
    Case("name-blank-around", named(f" {CANARY}"), ("provider.display_name",), sent=(CANARY,)),
    Case("name-of-64", named(CANARY + "x" * 53), ("provider.display_name",), sent=(CANARY,)),
    Case("name-control-character", named(f"{CANARY}\x07"), ("provider.display_name",), sent=(CANARY,)),
    Case("name-line-break", named(f"{CANARY}\nb"), ("provider.display_name",), sent=(CANARY,)),
    Case("name-nul", named(f"{CANARY}\x00"), ("provider.display_name",), sent=(CANARY,)),
    Case("name-right-to-left-override", named(f"{CANARY}\u202e"), ("provider.display_name",), sent=(CANARY,)),
    Case("id-capitals", creating(provider_id=CANARY), ("provider_id",), sent=(CANARY,)),
    Case("id-of-64", creating(provider_id="a" * 64), ("provider_id",)),
    Case("id-dash-at-end", creating(provider_id="acme-"), ("provider_id",)),
    Case("resource-name", lambda _: pb.GetProviderRequest(name=CANARY), ("name",), sent=(CANARY,)),
    Case(
        "resource-name-of-model", lambda _: pb.GetProviderModelRequest(name=CANARY), ("name",), sent=(CANARY,)
    ),
    Case(
        "update-without-name",
        lambda _: pb.UpdateProviderRequest(provider=provider_pb2.Provider()),
        ("provider.name",),
    ),
    Case("catalog-name", lambda _: pb.GetCatalogRequest(name="catalogs/UP"), ("name",), sent=("UP",)),
    Case(
        "label-key",
        creating(provider_pb2.Provider(display_name="x", kind=OPENAI, labels={CANARY: "v"})),
        ("provider.labels",),
        sent=(CANARY,),
    ),
    Case(
        "label-value-of-64",
        creating(provider_pb2.Provider(display_name="x", kind=OPENAI, labels={"k": CANARY * 6})),
        ("provider.labels",),
        sent=(CANARY,),
    ),
    Case(
        "label-value-nul",
        creating(provider_pb2.Provider(display_name="x", kind=OPENAI, labels={"k": f"{CANARY}\x00"})),
        ("provider.labels",),
        sent=(CANARY,),
    ),
    Case(
        "labels-65",
        creating(
            provider_pb2.Provider(display_name="x", kind=OPENAI, labels={f"k{i}": "" for i in range(65)})
        ),
        ("provider.labels",),
    ),
    Case(
        "annotation-value-of-4097",
        creating(
            provider_pb2.Provider(display_name="x", kind=OPENAI, annotations={"k": CANARY + "x" * 4096})
        ),
        ("provider.annotations",),
        sent=(CANARY,),
    ),
    Case("request-id-no-uuid", creating(request_id=CANARY), ("request_id",), sent=(CANARY,)),
    Case(
        "etag-of-129",
        lambda world: pb.EnableProviderRequest(name=world.provider.name, etag=CANARY * 12),
        ("etag",),
        sent=(CANARY,),
    ),
)

KINDS_AND_CONFIGURATIONS = (
    Case("kind-missing", creating(provider_pb2.Provider(display_name="x")), ("provider.kind",)),
    Case("kind-unknown", configured(None, 99), ("provider.kind",)),
    Case(
        "config-of-another-kind",
        configured(openai_compatible(f"https://{CANARY.lower()}.example.com"), OPENAI),
        ("provider.config",),
        reason="CONFIG_KIND_MISMATCH",
        sent=(CANARY.lower(),),
    ),
    Case(
        "update-with-config-of-another-kind",
        updating("config", config=bedrock()),
        ("provider.config",),
        reason="CONFIG_KIND_MISMATCH",
    ),
    Case(
        "config-missing",
        configured(None, KINDS.PROVIDER_KIND_AZURE),
        ("provider.config.azure.endpoint",),
    ),
    Case(
        "bedrock-region-missing",
        configured(
            provider_pb2.ProviderConfig(bedrock=provider_pb2.BedrockConfig()), KINDS.PROVIDER_KIND_BEDROCK
        ),
        ("provider.config.bedrock.region",),
    ),
    Case(
        "bedrock-region-malformed",
        configured(bedrock(f"eu-central-1.{CANARY}"), KINDS.PROVIDER_KIND_BEDROCK),
        ("provider.config.bedrock.region",),
        sent=(CANARY,),
    ),
    Case(
        "vertex-location-malformed",
        configured(vertex_config(f"europe-west4/{CANARY}"), KINDS.PROVIDER_KIND_VERTEX),
        ("provider.config.vertex.location",),
        sent=(CANARY,),
    ),
    Case(
        "vertex-project-malformed",
        configured(
            provider_pb2.ProviderConfig(vertex_anthropic=vertex(project_id=CANARY)),
            KINDS.PROVIDER_KIND_VERTEX_ANTHROPIC,
        ),
        ("provider.config.vertex_anthropic.project_id",),
        sent=(CANARY,),
    ),
    Case(
        "organization-line-break",
        configured(
            provider_pb2.ProviderConfig(openai=provider_pb2.OpenAIConfig(organization=f"{CANARY}\r\nX: y")),
            OPENAI,
        ),
        ("provider.config.openai.organization",),
        sent=(CANARY,),
    ),
)

SECRET_HEADERS = ("Authorization", "cookie", "X-Api-Key", "api-key", "x-goog-api-key", "Proxy-Authorization")
STEERING_HEADERS = (
    "Host",
    "Forwarded",
    "X-Forwarded-For",
    "Proxy-Connection",
    "Connection",
    "TE",
    "Content-Length",
)
HEADERS_CASES = (
    *(
        Case(f"header-{name.lower()}", with_headers(**{name: CANARY}), (HEADERS,), sent=(CANARY,))
        for name in (*SECRET_HEADERS, *STEERING_HEADERS, "Transfer-Encoding", "X-HTTP-Method-Override")
    ),
    Case("header-name-with-blank", with_headers(**{f"{CANARY} x": "v"}), (HEADERS,), sent=(CANARY,)),
    Case("header-value-line-break", with_headers(x_team=f"{CANARY}\r\nHost: x"), (HEADERS,), sent=(CANARY,)),
    Case("header-value-nul", with_headers(x_team=f"{CANARY}\x00"), (HEADERS,), sent=(CANARY,)),
    Case("header-value-bearer", with_headers(x_team=f"Bearer {CANARY}"), (HEADERS,), sent=(CANARY,)),
    Case("header-value-api-key", with_headers(x_team=API_KEY), (HEADERS,), sent=(API_KEY,)),
    Case("header-name-twice", with_headers(x_team="a", X_Team="b"), (HEADERS,)),
)

URLS = tuple(
    Case(f"url-{name}", based(url), (BASE_URL,), sent=(CANARY.lower(),) if CANARY.lower() in url else ())
    for name, url in {
        "missing": "",
        "userinfo": f"https://user:{CANARY.lower()}@api.example.com/v1",
        "query": f"https://api.example.com/v1?key={CANARY.lower()}",
        "fragment": f"https://api.example.com/v1#{CANARY.lower()}",
        "plain-http": f"http://{HOST}/v1",
        "ftp": f"ftp://{HOST}/v1",
        "no-scheme": HOST,
        "metadata-ipv4": "https://169.254.169.254/latest",
        "metadata-name": "https://metadata.google.internal/v1",
        "metadata-ipv6": "https://[fd00:ec2::254]/v1",
        "azure-host-agent": "https://168.63.129.16/v1",
        "carrier-nat": "https://100.100.100.200/v1",
        "this-network": "https://0.0.0.0/v1",
        "mapped-ipv4": "https://[::ffff:169.254.169.254]/v1",
        "nat64": "https://[64:ff9b::a9fe:a9fe]/v1",
        "6to4": "https://[2002:a9fe:a9fe::]/v1",
        "private": "https://10.0.0.1/v1",
        "private-name": "https://llm.corp/v1",
        "loopback": "https://127.0.0.1:8080/v1",
        "loopback-http": "http://localhost:8080/v1",
        "decimal-host": "https://2130706433/v1",
        "octal-host": "https://0177.0.0.1/v1",
        "capital-host": f"https://{CANARY}.example.com/v1",
        "trailing-dot": f"https://{HOST}./v1",
        "international-host": "https://bücher.example.com/v1",
        "percent": f"https://{HOST}/%2e%2e/v1",
        "dot-segment": f"https://{HOST}/v1/../v2",
        "double-slash": f"https://{HOST}//v1",
        "backslash": f"https://{HOST}\\v1",
        "semicolon": f"https://{HOST}/v1;x",
        "control-character": f"https://{HOST}/v1\x01",
        "line-break": f"https://{HOST}/v1\n",
        "of-2049": f"https://{HOST}/" + "a" * 2049,
    }.items()
)

CREDENTIALS = (
    Case("credential-empty", with_credential(provider_pb2.CredentialInput()), ("credential",)),
    Case(
        "set-without-credential",
        lambda world: pb.SetProviderCredentialRequest(name=world.provider.name),
        ("credential",),
    ),
    Case("key-empty", with_credential(api_key("")), ("credential.api_key.api_key",)),
    Case(
        "key-of-65-kib",
        with_credential(api_key(CANARY + "k" * 65 * 1024)),
        ("credential.api_key.api_key",),
        sent=(CANARY, "kkkk"),
    ),
    Case(
        "key-with-line-break",
        with_credential(api_key(f"{CANARY}\n")),
        ("credential.api_key.api_key",),
        sent=(CANARY,),
    ),
    Case(
        "set-key-with-blank",
        lambda world: pb.SetProviderCredentialRequest(
            name=world.provider.name, credential=api_key(f"a {CANARY}")
        ),
        ("credential.api_key.api_key",),
        sent=(CANARY,),
    ),
    Case(
        "key-for-vertex",
        with_service_account(api_key(CANARY)),
        ("credential.api_key",),
        reason="CREDENTIAL_TYPE_MISMATCH",
        sent=(CANARY,),
    ),
    Case(
        "ambient-for-openai",
        with_credential(ambient()),
        ("credential.ambient",),
        reason="CREDENTIAL_TYPE_MISMATCH",
    ),
    Case(
        "service-account-for-openai",
        lambda world: pb.SetProviderCredentialRequest(
            name=world.provider.name, credential=service_account(project_id=CANARY)
        ),
        ("credential.gcp_service_account_key",),
        reason="CREDENTIAL_TYPE_MISMATCH",
        sent=(CANARY, SERVICE_ACCOUNT["private_key_id"]),
    ),
    Case(
        "aws-key-for-azure",
        with_credential(
            provider_pb2.CredentialInput(
                aws_access_key=provider_pb2.AwsAccessKeyCredential(
                    access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key=CANARY
                )
            ),
            KINDS.PROVIDER_KIND_AZURE,
            azure(),
        ),
        ("credential.aws_access_key",),
        reason="CREDENTIAL_TYPE_MISMATCH",
        sent=(CANARY, "AKIA"),
    ),
    Case(
        "aws-role-malformed",
        with_credential(
            provider_pb2.CredentialInput(
                aws_access_key=provider_pb2.AwsAccessKeyCredential(
                    access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="s" * 40, assume_role_arn=CANARY
                )
            ),
            KINDS.PROVIDER_KIND_BEDROCK,
            bedrock(),
        ),
        ("credential.aws_access_key.assume_role_arn",),
        sent=(CANARY, "AKIA", "sss"),
    ),
    Case(
        "aws-key-id-malformed",
        with_credential(
            provider_pb2.CredentialInput(
                aws_access_key=provider_pb2.AwsAccessKeyCredential(
                    access_key_id=CANARY, secret_access_key="s" * 40
                )
            ),
            KINDS.PROVIDER_KIND_BEDROCK,
            bedrock(),
        ),
        ("credential.aws_access_key.access_key_id",),
        sent=(CANARY, "sss"),
    ),
    Case(
        "azure-tenant-no-uuid",
        with_credential(
            provider_pb2.CredentialInput(
                azure_client_secret=provider_pb2.AzureClientSecretCredential(
                    tenant_id=CANARY, client_id=str(uuid4()), client_secret="s" * 40
                )
            ),
            KINDS.PROVIDER_KIND_AZURE,
            azure(),
        ),
        ("credential.azure_client_secret.tenant_id",),
        sent=(CANARY, "sss"),
    ),
    *(
        Case(f"json-{name}", with_service_account(json_file(text)), (JSON_KEY,), sent=(CANARY,))
        for name, text in {
            "malformed": f'{{"type": "service_account", "x": "{CANARY}"',
            "array": f'["{CANARY}"]',
            "deep": f'{{"x": "{CANARY}", "y": ' + "[" * 8000 + "}",
            "of-16-kib": json.dumps({**SERVICE_ACCOUNT, "x": CANARY + "x" * 16384}),
            "key-twice": f'{{"type": "service_account", "type": "{CANARY}"}}',
            "nan": f'{{"type": NaN, "x": "{CANARY}"}}',
            "authorized-user": json.dumps({**SERVICE_ACCOUNT, "type": "authorized_user", "x": CANARY}),
            "token-uri": json.dumps({**SERVICE_ACCOUNT, "token_uri": f"https://{CANARY}.example/token"}),
            "universe": json.dumps({**SERVICE_ACCOUNT, "universe_domain": f"{CANARY}.example"}),
            "no-key": json.dumps({**SERVICE_ACCOUNT, "private_key": CANARY}),
        }.items()
    ),
    Case(
        "expire-time-beyond-9999",
        lambda _: pb.CreateProviderRequest(
            provider=provider_pb2.Provider(display_name="x", kind=OPENAI),
            credential=provider_pb2.CredentialInput(
                api_key=provider_pb2.ApiKeyCredential(api_key=CANARY), expire_time=Timestamp(seconds=10**12)
            ),
        ),
        ("credential.expire_time",),
        sent=(CANARY,),
    ),
    Case(
        "expected-version-negative",
        lambda world: pb.SetProviderCredentialRequest(
            name=world.provider.name, credential=api_key(CANARY), expected_version=-1
        ),
        ("expected_version",),
        sent=(CANARY,),
    ),
)

PRICES = ("1e3", "-1", "NaN", "0.1234567890123", "+1", " 1", "01", ".5", "1.", "1,5", "1234567890", "0x1", "")
MODELS = (
    Case("upstream-id-missing", modelled(upstream_model_id=""), ("provider_model.upstream_model_id",)),
    Case(
        "upstream-id-with-blank",
        modelled(upstream_model_id=f"a {CANARY}"),
        ("provider_model.upstream_model_id",),
        sent=(CANARY,),
    ),
    Case(
        "upstream-id-of-257",
        modelled(upstream_model_id=CANARY + "x" * 246),
        ("provider_model.upstream_model_id",),
        sent=(CANARY,),
    ),
    Case("provider-model-kind-missing", modelled(kind=0), ("provider_model.kind",)),
    Case("provider-model-kind-unknown", modelled(kind=99), ("provider_model.kind",)),
    Case(
        "provider-model-name-of-64",
        modelled(display_name=CANARY + "x" * 53),
        ("provider_model.display_name",),
        sent=(CANARY,),
    ),
    Case(
        "provider-model-name-control-character",
        modelled(display_name=f"{CANARY}\x1b[31m"),
        ("provider_model.display_name",),
        sent=(CANARY,),
    ),
    Case(
        "provider-model-name-control-character-update",
        updating_model("display_name", display_name=f"{CANARY}\x07"),
        ("provider_model.display_name",),
        sent=(CANARY,),
    ),
    Case(
        "provider-model-label-value-line-break",
        modelled(labels={"k": f"{CANARY}\n"}),
        ("provider_model.labels",),
        sent=(CANARY,),
    ),
    Case("window-negative", modelled(context_window=-1), ("provider_model.context_window",)),
    Case("window-too-large", modelled(context_window=100_000_001), ("provider_model.context_window",)),
    Case("output-negative", modelled(max_output_tokens=-1), ("provider_model.max_output_tokens",)),
    Case("dimensions-negative", modelled(embedding_dimensions=-1), ("provider_model.embedding_dimensions",)),
    Case(
        "window-negative-update",
        updating_model("context_window", context_window=-1),
        ("provider_model.context_window",),
    ),
    Case("capability-twice", modelled(capabilities=[1, 1]), ("provider_model.capabilities",)),
    Case("capability-unspecified", modelled(capabilities=[1, 0]), ("provider_model.capabilities[1]",)),
    *(
        Case(
            f"price-{text or 'empty'}",
            priced(input_per_million_tokens=text),
            (f"{PRICING}.input_per_million_tokens",),
            sent=(text,) if len(text) > 3 else (),
        )
        for text in PRICES
    ),
    Case(
        "price-in-tier",
        priced(
            tiers=[
                provider_model_pb2.PricingTier(above_input_tokens=1, output_per_million_tokens="1"),
                provider_model_pb2.PricingTier(above_input_tokens=2, output_per_million_tokens="1e3"),
            ]
        ),
        (f"{PRICING}.tiers[1].output_per_million_tokens",),
        sent=("1e3",),
    ),
    Case(
        "tiers-not-rising",
        priced(tiers=[provider_model_pb2.PricingTier(above_input_tokens=n) for n in (200_001, 200_001)]),
        (f"{PRICING}.tiers[1].above_input_tokens",),
        sent=("200001",),
    ),
    Case(
        "tiers-9",
        priced(tiers=[provider_model_pb2.PricingTier(above_input_tokens=n) for n in range(1, 10)]),
        (f"{PRICING}.tiers",),
    ),
    Case("currency-lower-case", priced(currency_code="usd"), (f"{PRICING}.currency_code",), sent=("usd",)),
    Case(
        "currency-missing",
        priced(currency_code="", input_per_million_tokens="1"),
        (f"{PRICING}.currency_code",),
    ),
    Case(
        "upstream-id-twice",
        lambda world: pb.CreateProviderModelRequest(
            parent=world.provider.name,
            provider_model=provider_model_pb2.ProviderModel(upstream_model_id="custom-1", kind=CHAT),
        ),
        code=EXISTS,
        reason="UPSTREAM_MODEL_EXISTS",
    ),
    Case(
        "import-upstream-id-twice",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, upstream_model_ids=["a", "a"]
        ),
        ("upstream_model_ids",),
    ),
    Case(
        "import-upstream-ids-unknown",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, upstream_model_ids=["o3", f"{CANARY}-1", "gpt-4.1", f"{CANARY}-2"]
        ),
        ("upstream_model_ids[1]", "upstream_model_ids[3]"),
        sent=(CANARY,),
    ),
    Case(
        "import-more-than-1000-ids",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, upstream_model_ids=[f"m-{number}" for number in range(1001)]
        ),
        ("upstream_model_ids",),
    ),
    Case(
        "import-plan-digest-malformed",
        lambda world: pb.ImportProviderModelsRequest(parent=world.provider.name, plan_digest=CANARY),
        ("plan_digest",),
        sent=(CANARY,),
    ),
    Case(
        "import-plan-digest-of-another-plan",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, existing_policy=REFRESH, plan_digest="5e" * 32
        ),
        code=ABORTED,
        reason="PLAN_CHANGED",
        sent=("5e" * 32,),
    ),
    Case(
        "import-adopt-without-names",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, existing_policy=REFRESH, adopt_custom=True
        ),
        ("adopt_custom",),
    ),
    Case(
        "import-adopt-without-refresh",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, upstream_model_ids=["o3"], adopt_custom=True
        ),
        ("adopt_custom",),
    ),
    Case(
        "import-existing-only-without-refresh",
        lambda world: pb.ImportProviderModelsRequest(parent=world.provider.name, existing_only=True),
        ("existing_only",),
    ),
    Case(
        "import-version-malformed",
        lambda world: pb.ImportProviderModelsRequest(parent=world.provider.name, catalog_version=CANARY),
        ("catalog_version",),
        sent=(CANARY,),
    ),
    Case(
        "import-policy-unknown",
        lambda world: pb.ImportProviderModelsRequest(parent=world.provider.name, existing_policy=99),  # type: ignore[arg-type]
        ("existing_policy",),
    ),
    Case(
        "import-version-not-bundled",
        lambda world: pb.ImportProviderModelsRequest(
            parent=world.provider.name, catalog_version="1999.01.01"
        ),
        code=FAILED,
        reason="CATALOG_VERSION_UNAVAILABLE",
    ),
)

CASES = (*NAMES, *KINDS_AND_CONFIGURATIONS, *HEADERS_CASES, *URLS, *CREDENTIALS, *MODELS)
