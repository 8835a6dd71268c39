"""Paperspace's refusals in our words. Its codes are not published; its HTTP status and sentences are gone by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.errors import ProviderFault
from personadesk.domain.text import T
from personadesk.providers import faults
from personadesk.providers.paperspace.facts import FACTS

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.providers.faults import Problem


def refusal(problem: Problem) -> PersonaDeskError | None:
    """Return the error that a refusal is, None where its HTTP status says it all."""
    status = problem.status or 0
    if status == 410 or (status == 404 and not problem.code):
        # Paperspace's own refusals have a code; this is somebody else's page in its place.
        return shut(problem)
    if status not in {400, 403, 409, 422}:
        return None
    if problem.mentions("payment", "billing", "credit card"):
        return faults.account_closed(FACTS, problem)
    if problem.mentions("capacity", "not available", "unavailable", "no machines available"):
        return faults.no_capacity(FACTS, None, problem)
    if problem.mentions("quota", "limit", "maximum"):
        return faults.quota(FACTS, problem)
    if problem.mentions("must be off", "must be running", "current state", "in use", "in progress"):
        return faults.wrong_state(FACTS, problem)
    return None


def shut(problem: Problem) -> PersonaDeskError:
    """Paperspace's API is no longer where it was."""
    return ProviderFault(
        T("Paperspace's API is no longer there; it may have been shut."),
        T("Look at its status page, or rent a GPU Droplet at DigitalOcean instead."),
        cause="api_shut",
        details=problem.body or problem.message,
        retryable=False,
        provider_status=problem.status,
        request_id=problem.request_id,
    )
