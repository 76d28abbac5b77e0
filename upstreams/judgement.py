"""What an upstream's response means, kind by kind: a pure function of status, a few headers and the body.

The status alone is not enough: Google returns 400 for a wrong key, AWS 403 for both a wrong key and a missing
permission, and several return 429 for an empty account. So the error's own code decides where there is one,
and the status otherwise.

Source: the vendors' error references; Microsoft's for AADSTS codes; RFC 6749 section 5.2 and RFC 7523 for
token endpoints; AWS' common errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from upstreams.exchange import Answer
from upstreams.outcome import Reason

_MAX_ERROR_TEXT: Final = 4096
_EMPTY_ACCOUNT = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
        "exceeded_current_quota_error",
        "billing_error",
        "insufficient_balance",
    }
)
_REGION_CODES = frozenset({"unsupported_country_region_territory", "failed_precondition"})
_NO_PERMISSION_KINDS = frozenset({"openai", "anthropic", "vertex", "vertex_anthropic"})
_GOOGLE_NETWORK_REASONS = frozenset(
    {"api_key_http_referrer_blocked", "api_key_ip_address_blocked", "api_key_android_app_blocked"}
)

LISTING_MEMBERS: Mapping[str, str] = {
    "bedrock": "modelSummaries",
    "google": "models",
    "vertex": "publisherModels",
    "vertex_anthropic": "publisherModels",
    "cohere": "models",
}
"""The member that holds the entries of a listing; ``data`` for all other kinds."""
_LEAVE_EMPTY_OUT = frozenset({"google", "vertex", "vertex_anthropic"})

_AWS_BAD_KEY = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "InvalidClientTokenId",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    }
)
_AWS_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
_AWS_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_AWS_THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException"})
_AWS_REGION = frozenset({"RegionDisabledException", "OptInRequired"})
_AWS_SKEW = re.compile(r"signature expired|signature not yet current", re.IGNORECASE)
_AWS_BAD_API_KEY = re.compile(r"authentication failed|invalid api key|api key .{0,40}(?:valid|expired)", re.I)

_ENTRA_EXPIRED = frozenset({7000222})
_GOOGLE_SKEW = re.compile(r"short-lived token|reasonable timeframe|check your iat|invalid_iat", re.IGNORECASE)


def judge(kind: str, answer: Answer, *, with_credential: bool = True, member: str = "") -> Reason:
    """Return what the response to a listing call means: LISTED only if the body is the listing of this kind.

    ``member`` names the list in the body where it is not the kind's main one.
    """
    if answer.status == 200:
        return Reason.LISTED if _is_listing(kind, answer.document(), member) else Reason.NOT_THE_API
    if 200 <= answer.status < 300:
        return Reason.NOT_THE_API
    if 300 <= answer.status < 400:
        return Reason.REDIRECTED
    if kind == "bedrock":
        return _bedrock(answer)
    error = ErrorText(answer.document())
    match answer.status:
        case 400:
            return _bad_request(kind, error)
        case 401 | 403:
            return _refusal(kind, answer, error, with_credential=with_credential)
        case 402:
            return Reason.NO_FUNDS
        case 404:
            return _not_found(kind)
        case 405 | 501:
            return Reason.LISTING_NOT_OFFERED if kind == "openai_compatible" else Reason.NOT_THE_API
        case 429:
            return Reason.NO_FUNDS if error.codes & _EMPTY_ACCOUNT else Reason.RATE_LIMITED
        case status:
            return _by_status(status)


def judge_google_token(answer: Answer) -> Reason | None:
    """Return what a response of Google's token endpoint means; None where it is good."""
    if answer.status == 200:
        return None
    error = ErrorText(answer.document())
    if answer.status in (400, 401, 403):
        if _GOOGLE_SKEW.search(error.text):
            return Reason.CLOCK_SKEW
        return Reason.BAD_KEY if error.codes else Reason.NOT_THE_API
    return _of_token_endpoint(answer.status)


def judge_entra(answer: Answer) -> Reason | None:
    """Return what a response of Entra's token endpoint means; None where it is good."""
    if answer.status == 200:
        return None
    document = answer.document()
    error = ErrorText(document)
    if answer.status in (400, 401, 403):
        numbers = document.get("error_codes") if isinstance(document, dict) else None
        if isinstance(numbers, list) and any(
            isinstance(number, int) and number in _ENTRA_EXPIRED for number in numbers
        ):
            return Reason.EXPIRED_KEY
        if "temporarily_unavailable" in error.codes:
            return Reason.UPSTREAM_FAULT
        return Reason.BAD_KEY if error.codes else Reason.NOT_THE_API
    return _of_token_endpoint(answer.status)


def judge_role(answer: Answer) -> Reason | None:
    """Return what a response of STS to AssumeRole means; None where it is good. Its errors are XML."""
    if answer.status == 200:
        return None
    text = answer.body[:_MAX_ERROR_TEXT].decode("utf-8", "replace")
    found = re.search(r"<Code>([A-Za-z.]{1,64})</Code>", text)
    code = found[1] if found else ""
    if code == "SignatureDoesNotMatch":
        return Reason.CLOCK_SKEW if _AWS_SKEW.search(text) else Reason.BAD_KEY
    if code in _AWS_DENIED or code in ("ValidationError", "MalformedPolicyDocument"):
        return Reason.ROLE_REFUSED
    return _aws(code, text) or (
        Reason.NOT_THE_API if 400 <= answer.status < 429 else _of_token_endpoint(answer.status)
    )


class ErrorText:
    """The codes and texts in an error's body: lower-case codes, and one text of at most 4,096 characters."""

    def __init__(self, document: Any) -> None:
        parts = list(_parts(document))
        self.codes = frozenset(value.lower() for name, value in parts if name != "message" and value)
        self.text = "\n".join(value for _, value in parts)[:_MAX_ERROR_TEXT]
        self.is_json = isinstance(document, dict | list)


def _parts(document: Any, depth: int = 3) -> Iterator[tuple[str, str]]:
    """(name, text) of what the vendors' error formats have in common, however they nest it."""
    if isinstance(document, list) and depth:
        for item in document[:16]:
            yield from _parts(item, depth - 1)
        return
    if not isinstance(document, dict):
        return
    for name in ("code", "type", "__type", "status", "reason", "error", "message", "Message"):
        value = document.get(name)
        if isinstance(value, str):
            yield name.lower(), value
    description = document.get("error_description")
    if isinstance(description, str):
        yield "message", description
    for name in ("error", "innererror", "details"):
        if depth and isinstance(document.get(name), dict | list):
            yield from _parts(document[name], depth - 1)


def _bad_request(kind: str, error: ErrorText) -> Reason:
    if kind == "google" and error.codes & {"api_key_invalid", "api_key_expired"}:
        return Reason.EXPIRED_KEY if "expired" in error.text.lower() else Reason.BAD_KEY
    if error.codes & _REGION_CODES:
        return Reason.WRONG_REGION
    return Reason.NO_FUNDS if error.codes & _EMPTY_ACCOUNT else Reason.UNEXPECTED_ANSWER


def _refusal(kind: str, answer: Answer, error: ErrorText, *, with_credential: bool) -> Reason:
    """401 and 403."""
    if kind == "openai_compatible":
        return Reason.BAD_KEY if with_credential else Reason.KEY_REQUIRED
    if error.codes & _REGION_CODES:
        return Reason.WRONG_REGION
    if "ip_not_authorized" in error.codes:
        return Reason.FIREWALLED
    if kind == "azure":
        return _azure_refusal(answer.status, error)
    if answer.status == 401:
        # A restricted key of OpenAI gets either status; it lacks the scope.
        scoped = kind == "openai" and "missing scopes" in error.text.lower()
        return Reason.MISSING_PERMISSION if scoped else Reason.BAD_KEY
    if not error.is_json:
        return Reason.FIREWALLED  # a page of whatever stands before the API
    if kind in ("google", "vertex", "vertex_anthropic"):
        return _google_refusal(kind, error)
    if kind in _NO_PERMISSION_KINDS:
        return Reason.MISSING_PERMISSION
    return Reason.FIREWALLED if "network" in error.text.lower() else Reason.MISSING_PERMISSION


def _azure_refusal(status: int, error: ErrorText) -> Reason:
    if error.codes & {"permissiondenied", "authorizationfailed"}:
        return Reason.MISSING_PERMISSION
    if "authenticationtypedisabled" in error.codes:
        return Reason.KEY_TYPE_DISABLED
    return Reason.BAD_KEY if status == 401 else Reason.FIREWALLED


def _google_refusal(kind: str, error: ErrorText) -> Reason:
    if error.codes & {"service_disabled", "api_key_service_blocked"}:
        return Reason.API_DISABLED
    if error.codes & {"billing_disabled", "consumer_suspended"}:
        return Reason.NO_FUNDS
    if error.codes & _GOOGLE_NETWORK_REASONS:
        return Reason.FIREWALLED
    text = error.text.lower()
    if kind == "google" and ("reported as leaked" in text or "unregistered callers" in text):
        return Reason.BAD_KEY
    return Reason.MISSING_PERMISSION


def _not_found(kind: str) -> Reason:
    match kind:
        case "openai_compatible":
            return Reason.LISTING_NOT_OFFERED
        case "azure":
            return Reason.WRONG_HOST
        case "vertex" | "vertex_anthropic":
            return Reason.WRONG_REGION
        case _:
            return Reason.NOT_THE_API


def _bedrock(answer: Answer) -> Reason:
    """Wrong key and missing permission are both 403: the error's type in header or body says which."""
    error = ErrorText(answer.document())
    code = _aws_code(answer.headers, answer.document())
    # Bedrock says AccessDeniedException of an API key that it does not know, too.
    if answer.status in (401, 403) and _AWS_BAD_API_KEY.search(error.text):
        return Reason.EXPIRED_KEY if "expired" in error.text.lower() else Reason.BAD_KEY
    if code == "SignatureDoesNotMatch":
        return Reason.CLOCK_SKEW
    if code in _AWS_DENIED:
        return Reason.MISSING_PERMISSION
    known = _aws(code, error.text)
    if known is not None:
        return known
    if answer.status in (401, 403):
        return Reason.UNEXPECTED_ANSWER if error.is_json else Reason.FIREWALLED
    return Reason.NOT_THE_API if answer.status == 404 else _by_status(answer.status)


def _aws(code: str, text: str) -> Reason | None:
    if _AWS_SKEW.search(text) or code == "RequestTimeTooSkewed":
        return Reason.CLOCK_SKEW
    if code in _AWS_BAD_KEY:
        return Reason.BAD_KEY
    if code in _AWS_EXPIRED:
        return Reason.EXPIRED_KEY
    if code in _AWS_THROTTLED:
        return Reason.RATE_LIMITED
    return Reason.WRONG_REGION if code in _AWS_REGION else None


def _aws_code(headers: Mapping[str, str], document: Any) -> str:
    """``Name`` out of the header's ``Name:http://…`` or the body's ``namespace#Name``."""
    code = headers.get("x-amzn-errortype", "")
    if not code and isinstance(document, dict):
        named = document.get("__type") or document.get("code")
        code = named if isinstance(named, str) else ""
    return code.partition(":")[0].rpartition("#")[2]


def _of_token_endpoint(status: int) -> Reason:
    """Its 404 is no region of the API, and what it redirects to gets no secret."""
    if 300 <= status < 400:
        return Reason.REDIRECTED
    return Reason.NOT_THE_API if status < 429 else _by_status(status)


def _by_status(status: int) -> Reason:
    match status:
        case 402:
            return Reason.NO_FUNDS
        case 429:
            return Reason.RATE_LIMITED
        case 529:
            return Reason.OVERLOADED
        case 408:
            return Reason.TIMED_OUT
        case _:
            return Reason.UPSTREAM_FAULT if status >= 500 else Reason.UNEXPECTED_ANSWER


def _is_listing(kind: str, document: Any, member: str) -> bool:
    """Whether a document is a page of what this kind answers. Empty lists count."""
    if kind == "openai_compatible" and isinstance(document, list):
        return True
    if not isinstance(document, dict):
        return False
    member = member or LISTING_MEMBERS.get(kind, "data")
    if member in document:
        return isinstance(document[member], list)
    # Google leaves empty lists out; what else the document holds must then not be an error.
    return kind in _LEAVE_EMPTY_OUT and set(document) <= {"nextPageToken"}
