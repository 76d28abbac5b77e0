"""What a test or a listing came to. Every text that is shown stands here: upstreams add none to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from upstreams.guard import Obstacle


class Verdict(StrEnum):
    """The coarse outcome, as the API names it."""

    SUCCEEDED = "succeeded"
    CREDENTIAL_REJECTED = "credential_rejected"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    UNSUPPORTED = "unsupported"


class Reason(StrEnum):
    """The fine one: what somebody has to do about it."""

    LISTED = "listed"
    MISSING_PERMISSION = "missing_permission"

    BAD_KEY = "bad_key"
    EXPIRED_KEY = "expired_key"
    MALFORMED_KEY = "malformed_key"
    KEY_REQUIRED = "key_required"
    KEY_TYPE_DISABLED = "key_type_disabled"

    NAME_UNKNOWN = "name_unknown"
    NO_CONNECTION = "no_connection"
    ADDRESS_REFUSED = "address_refused"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    ANSWER_TOO_LARGE = "answer_too_large"
    NOT_THE_API = "not_the_api"
    REDIRECTED = "redirected"
    WRONG_HOST = "wrong_host"
    WRONG_REGION = "wrong_region"
    FIREWALLED = "firewalled"
    API_DISABLED = "api_disabled"
    ROLE_REFUSED = "role_refused"
    CLOCK_SKEW = "clock_skew"
    UPSTREAM_FAULT = "upstream_fault"
    UNEXPECTED_ANSWER = "unexpected_answer"

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    NO_FUNDS = "no_funds"

    AMBIENT_IDENTITY = "ambient_identity"
    NO_CREDENTIAL = "no_credential"
    WRONG_TYPE = "wrong_type"
    LISTING_NOT_OFFERED = "listing_not_offered"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test, or one listing as a whole.

    ``http_status_code`` is of the last answer, 0 where there was none; ``latency_ms`` of all its calls.
    """

    reason: Reason
    message: str
    http_status_code: int = 0
    latency_ms: int = 0

    @property
    def verdict(self) -> Verdict:
        """What the API calls `outcome`."""
        return _MEANING[self.reason][0]


def outcome(reason: Reason, kind: str, *, http_status_code: int = 0, latency_ms: int = 0) -> Outcome:
    """An outcome with the text for ``kind``: fixed ones, so that nothing an upstream says is repeated."""
    message = _MEANING[reason][1]
    hint = _HINTS.get((reason, kind))
    return Outcome(reason, f"{message} {hint}" if hint else message, http_status_code, latency_ms)


def reason_of(obstacle: Obstacle) -> Reason:
    """The reason of a call that was not answered."""
    return _OBSTACLES[obstacle]


_OBSTACLES: Mapping[Obstacle, Reason] = {
    Obstacle.NAME_UNKNOWN: Reason.NAME_UNKNOWN,
    Obstacle.ADDRESS_REFUSED: Reason.ADDRESS_REFUSED,
    Obstacle.NO_CONNECTION: Reason.NO_CONNECTION,
    Obstacle.TLS_FAILED: Reason.TLS_FAILED,
    Obstacle.TIMED_OUT: Reason.TIMED_OUT,
    Obstacle.TOO_LARGE: Reason.ANSWER_TOO_LARGE,
    Obstacle.GARBLED: Reason.NOT_THE_API,
}

_MEANING: Mapping[Reason, tuple[Verdict, str]] = {
    Reason.LISTED: (Verdict.SUCCEEDED, "The upstream accepts the credential."),
    Reason.MISSING_PERMISSION: (
        Verdict.SUCCEEDED,
        "The credential is valid, but lacks the permission to list models.",
    ),
    Reason.BAD_KEY: (Verdict.CREDENTIAL_REJECTED, "The upstream rejects the credential."),
    Reason.EXPIRED_KEY: (Verdict.CREDENTIAL_REJECTED, "The credential has expired."),
    Reason.MALFORMED_KEY: (
        Verdict.CREDENTIAL_REJECTED,
        "The credential is malformed: it could not be used, and nothing was sent.",
    ),
    Reason.KEY_REQUIRED: (
        Verdict.CREDENTIAL_REJECTED,
        "The upstream wants a credential, and this provider has none.",
    ),
    Reason.KEY_TYPE_DISABLED: (
        Verdict.CREDENTIAL_REJECTED,
        "The upstream has switched off this type of credential for the resource.",
    ),
    Reason.NAME_UNKNOWN: (Verdict.UNREACHABLE, "The upstream's host name is unknown."),
    Reason.NO_CONNECTION: (
        Verdict.UNREACHABLE,
        "No connection to the upstream: check the network, its firewall, and the port.",
    ),
    Reason.ADDRESS_REFUSED: (
        Verdict.UNREACHABLE,
        "The host resolves to an address that may not be called.",
    ),
    Reason.TLS_FAILED: (
        Verdict.UNREACHABLE,
        "No secure connection to the upstream: its certificate was not accepted.",
    ),
    Reason.TIMED_OUT: (Verdict.UNREACHABLE, "The upstream did not answer in time."),
    Reason.ANSWER_TOO_LARGE: (Verdict.UNREACHABLE, "The upstream's answer is larger than 5 MiB."),
    Reason.NOT_THE_API: (
        Verdict.UNREACHABLE,
        "Something answered, but not as this kind of API does: check the address and its path.",
    ),
    Reason.REDIRECTED: (
        Verdict.UNREACHABLE,
        "The upstream redirects elsewhere, and credentials do not follow: set the final address.",
    ),
    Reason.WRONG_HOST: (
        Verdict.UNREACHABLE,
        "The host answers, but has no such resource: check the address.",
    ),
    Reason.WRONG_REGION: (
        Verdict.UNREACHABLE,
        "The upstream does not serve this location: check the region.",
    ),
    Reason.FIREWALLED: (
        Verdict.UNREACHABLE,
        "The upstream refuses callers from this network: check its firewall rules.",
    ),
    Reason.API_DISABLED: (
        Verdict.UNREACHABLE,
        "The credential is valid, but the API is not enabled for the project.",
    ),
    Reason.ROLE_REFUSED: (
        Verdict.UNREACHABLE,
        "The access key is valid, but may not assume the role: check the role and whom it trusts.",
    ),
    Reason.CLOCK_SKEW: (
        Verdict.UNREACHABLE,
        "The upstream does not accept the time of the signature: check this machine's clock.",
    ),
    Reason.UPSTREAM_FAULT: (Verdict.UNREACHABLE, "The upstream has a fault of its own: try again later."),
    Reason.UNEXPECTED_ANSWER: (Verdict.UNREACHABLE, "The upstream gave an answer that tells nothing."),
    Reason.RATE_LIMITED: (Verdict.RATE_LIMITED, "The upstream limits the rate of requests: try again later."),
    Reason.OVERLOADED: (Verdict.RATE_LIMITED, "The upstream is overloaded: try again later."),
    Reason.NO_FUNDS: (
        Verdict.RATE_LIMITED,
        "The credential is valid, but its account has no funds or quota left.",
    ),
    Reason.AMBIENT_IDENTITY: (
        Verdict.UNSUPPORTED,
        "An ambient identity is the router's own: only the router can test it.",
    ),
    Reason.NO_CREDENTIAL: (Verdict.UNSUPPORTED, "There is no credential to test."),
    Reason.WRONG_TYPE: (Verdict.UNSUPPORTED, "This kind of provider takes no credential of this type."),
    Reason.LISTING_NOT_OFFERED: (
        Verdict.UNSUPPORTED,
        "The upstream is reachable, but does not offer a list of models.",
    ),
}

_HINTS: Mapping[tuple[Reason, str], str] = {
    (Reason.BAD_KEY, "moonshot"): "Keys of api.moonshot.ai and api.moonshot.cn do not work at the other.",
    (Reason.BAD_KEY, "bedrock"): "API keys are valid in one region, and new regions must be enabled.",
    (Reason.CLOCK_SKEW, "bedrock"): "If it is right, the secret access key is not.",
    (Reason.MISSING_PERMISSION, "bedrock"): "It needs bedrock:ListFoundationModels.",
    (Reason.NAME_UNKNOWN, "azure"): "Check the name of the resource in the endpoint.",
    (Reason.NAME_UNKNOWN, "bedrock"): "Check the region.",
    (Reason.NAME_UNKNOWN, "vertex"): "Check the location.",
    (Reason.NAME_UNKNOWN, "vertex_anthropic"): "Check the location.",
    (Reason.API_DISABLED, "vertex"): "Enable aiplatform.googleapis.com.",
    (Reason.API_DISABLED, "vertex_anthropic"): "Enable aiplatform.googleapis.com.",
    (Reason.WRONG_HOST, "azure"): "The endpoint is that of the resource, without a deployment's path.",
}
