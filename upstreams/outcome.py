"""The result of a test or a listing. Every text that is shown stands here: upstreams add nothing."""

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
    """The reason: what has to be done about it."""

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

    ``http_status_code`` is that of the last response, 0 without one; ``latency_ms`` is of all calls.
    """

    reason: Reason
    message: str
    http_status_code: int = 0
    latency_ms: int = 0

    @property
    def verdict(self) -> Verdict:
        """What the API calls ``outcome``."""
        return _MEANING[self.reason][0]


def outcome(reason: Reason, kind: str, *, http_status_code: int = 0, latency_ms: int = 0) -> Outcome:
    """Return an outcome with a fixed text for ``kind``, so that nothing an upstream says is repeated."""
    message = _MEANING[reason][1]
    hint = _HINTS.get((reason, kind))
    return Outcome(reason, f"{message} {hint}" if hint else message, http_status_code, latency_ms)


def reason_of(obstacle: Obstacle) -> Reason:
    """Return the reason of a call without a response."""
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
        "The credential is malformed. Nothing was sent: check that all of it was pasted.",
    ),
    Reason.KEY_REQUIRED: (
        Verdict.CREDENTIAL_REJECTED,
        "The upstream requires a credential, and this provider has none.",
    ),
    Reason.KEY_TYPE_DISABLED: (
        Verdict.CREDENTIAL_REJECTED,
        "The upstream has disabled this type of credential for the resource.",
    ),
    Reason.NAME_UNKNOWN: (Verdict.UNREACHABLE, "The upstream's host name does not exist: check the address."),
    Reason.NO_CONNECTION: (
        Verdict.UNREACHABLE,
        "No connection to the upstream: check the network, firewalls and the port.",
    ),
    Reason.ADDRESS_REFUSED: (
        Verdict.UNREACHABLE,
        "The upstream's host resolves to an address that this installation does not call.",
    ),
    Reason.TLS_FAILED: (
        Verdict.UNREACHABLE,
        "The upstream's TLS certificate was not accepted.",
    ),
    Reason.TIMED_OUT: (Verdict.UNREACHABLE, "The upstream did not respond in time."),
    Reason.ANSWER_TOO_LARGE: (Verdict.UNREACHABLE, "The upstream's response is larger than 5 MiB."),
    Reason.NOT_THE_API: (
        Verdict.UNREACHABLE,
        "Something responded, but not this kind of API: check the address and its path.",
    ),
    Reason.REDIRECTED: (
        Verdict.UNREACHABLE,
        "The upstream redirects, and credentials do not follow redirects: set the final address.",
    ),
    Reason.WRONG_HOST: (
        Verdict.UNREACHABLE,
        "The host responds but has no such resource: check the address.",
    ),
    Reason.WRONG_REGION: (
        Verdict.UNREACHABLE,
        "The upstream does not serve this location: check the region.",
    ),
    Reason.FIREWALLED: (
        Verdict.UNREACHABLE,
        "The upstream refuses this network: check its firewall rules.",
    ),
    Reason.API_DISABLED: (
        Verdict.UNREACHABLE,
        "The credential is valid, but the API is not enabled for the project.",
    ),
    Reason.ROLE_REFUSED: (
        Verdict.UNREACHABLE,
        "The access key is valid but may not assume the role: check the role and its trust policy.",
    ),
    Reason.CLOCK_SKEW: (
        Verdict.UNREACHABLE,
        "The upstream rejects the signature's time: check this machine's clock.",
    ),
    Reason.UPSTREAM_FAULT: (Verdict.UNREACHABLE, "The upstream reports an internal error: try again later."),
    Reason.UNEXPECTED_ANSWER: (Verdict.UNREACHABLE, "The upstream sent an unexpected response."),
    Reason.RATE_LIMITED: (Verdict.RATE_LIMITED, "The upstream limits the rate of requests: try again later."),
    Reason.OVERLOADED: (Verdict.RATE_LIMITED, "The upstream is overloaded: try again later."),
    Reason.NO_FUNDS: (
        Verdict.RATE_LIMITED,
        "The credential is valid, but its account has no funds or quota left.",
    ),
    Reason.AMBIENT_IDENTITY: (
        Verdict.UNSUPPORTED,
        "An ambient identity is the router's own, so only the router can test it.",
    ),
    Reason.NO_CREDENTIAL: (Verdict.UNSUPPORTED, "There is no credential to test."),
    Reason.WRONG_TYPE: (Verdict.UNSUPPORTED, "This kind of provider takes no credential of this type."),
    Reason.LISTING_NOT_OFFERED: (
        Verdict.UNSUPPORTED,
        "The upstream is reachable but offers no list of models, so the key could not be tested.",
    ),
}

_HINTS: Mapping[tuple[Reason, str], str] = {
    (
        Reason.BAD_KEY,
        "moonshot",
    ): "Keys of api.moonshot.ai do not work at api.moonshot.cn, nor the other way round.",
    (Reason.BAD_KEY, "bedrock"): "API keys are valid in one region, and new regions must be enabled.",
    (Reason.CLOCK_SKEW, "bedrock"): "If the clock is right, the secret access key is wrong.",
    (Reason.MISSING_PERMISSION, "bedrock"): "It needs bedrock:ListFoundationModels.",
    (Reason.NAME_UNKNOWN, "azure"): "Check the name of the resource in the endpoint.",
    (Reason.NAME_UNKNOWN, "bedrock"): "Check the region.",
    (Reason.NAME_UNKNOWN, "vertex"): "Check the location.",
    (Reason.NAME_UNKNOWN, "vertex_anthropic"): "Check the location.",
    (Reason.API_DISABLED, "vertex"): "Enable aiplatform.googleapis.com.",
    (Reason.API_DISABLED, "vertex_anthropic"): "Enable aiplatform.googleapis.com.",
    (Reason.WRONG_HOST, "azure"): "Use the resource's endpoint, without a deployment's path.",
}
