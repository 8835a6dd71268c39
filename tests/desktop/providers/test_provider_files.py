"""What holds for every provider's file, whatever the provider."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from personadesk.domain.provider import ProviderFacts
from personadesk.providers import catalog

HEAVY = ("httpx", "boto3", "botocore", "google.auth", "asyncssh")


def test_the_files_of_providers_load_no_library_for_their_calls():
    names = ", ".join(HEAVY)
    code = (
        "import sys\nfrom personadesk.providers import catalog\n"
        "for each in catalog.ids(): catalog.facts(each)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", f"none of {names} is to be loaded"


@pytest.mark.parametrize("provider", catalog.ids())
def test_a_provider_is_whole_as_data(provider: str):
    facts: ProviderFacts = catalog.facts(provider)
    assert facts.id == provider
    assert facts.fields
    for field in facts.fields:
        assert field.rights or not field.secret, (
            f"{field.name} does not say what it must be allowed"
        )
        assert field.where.startswith("https://") or not field.secret
        re.compile(field.pattern)
    for page in (facts.site, facts.billing, facts.docs, facts.base_url):
        assert page.startswith("https://")
    for name in facts.can.__slots__:
        ability = getattr(facts.can, name)
        assert ability.can or ability.reason, f"why {name} is missing"
    for name in facts.answers.__slots__:
        assert getattr(facts.answers, name).reason
    assert facts.end_destroys
    assert facts.stop_costs or not facts.can.stop
