"""Home and what it shows."""

from __future__ import annotations

from personadesk.ui.home.model import HomeModel, HomeView, LineAction, LineVerb, LineView
from personadesk.ui.home.page import HomePage

__all__ = ["HomeModel", "HomePage", "HomeView", "LineAction", "LineVerb", "LineView"]
