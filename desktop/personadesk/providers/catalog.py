"""Which providers there are. Facts are loaded without an HTTP library; a provider is made by its id."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.account import Account
    from personadesk.domain.provider import ProviderFacts
    from personadesk.providers.base import Provider

_PLACES: Mapping[str, str] = {
    "runpod": "runpod:RunPod",
    "lambda": "lambda_cloud:LambdaCloud",
    "vast": "vast:Vast",
    "paperspace": "paperspace:Paperspace",
    "digitalocean": "digitalocean:DigitalOcean",
    "aws": "aws.calls:Aws",
    "google": "google.calls:Google",
    "azure": "azure.calls:Azure",
}
"""Module and class of each provider, in the order of the tabs."""


def ids() -> tuple[str, ...]:
    """Return the ids of all providers, in the order of the tabs."""
    return tuple(_PLACES)


def kind(provider_id: str) -> type[Provider]:
    """Return a provider's class.

    Raises:
        BadRequest: There is none of that id.
    """
    place = _PLACES.get(provider_id)
    if place is None:
        raise BadRequest(
            T("There is no provider called “{name}”.", name=provider_id),
            T("Choose one of these: {names}", names=", ".join(_PLACES)),
            cause="no_provider",
        )
    module, _, name = place.partition(":")
    found: type[Provider] = getattr(import_module(f"personadesk.providers.{module}"), name)
    return found


def facts(provider_id: str) -> ProviderFacts:
    """Return a provider as data; see `kind`."""
    return kind(provider_id).facts


def make(account: Account, credentials: Mapping[str, str], **options: Any) -> Provider:
    """Return the provider of an account; see `Provider`."""
    return kind(account.provider)(account, credentials, **options)
