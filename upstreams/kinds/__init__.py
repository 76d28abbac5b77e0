"""What a kind of provider is: its settings, credential types and addresses, said once in Python.

Needs the standard library alone, so that the registry's rules, the calls to upstreams, the command line and
the console can all read it. Routers' libraries keep their own tables on purpose: they check what the registry
sends them.
"""

from upstreams.kinds.destinations import destinations
from upstreams.kinds.forms import (
    CREDENTIAL_FIELDS,
    Control,
    CredentialForm,
    CredentialType,
    Field,
    ProviderKind,
)
from upstreams.kinds.kind import Kind
from upstreams.kinds.origins import GOOGLE_TOKEN_ORIGIN, Origins
from upstreams.kinds.table import KINDS

__all__ = [
    "CREDENTIAL_FIELDS",
    "GOOGLE_TOKEN_ORIGIN",
    "KINDS",
    "Control",
    "CredentialForm",
    "CredentialType",
    "Field",
    "Kind",
    "Origins",
    "ProviderKind",
    "destinations",
]
