from __future__ import annotations

from typing import get_args

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.search.searchers import SEARCHERS


def test_every_searcher_that_a_study_may_name_is_registered() -> None:
    assert set(get_args(SearcherConfig.model_fields["name"].annotation)) == set(SEARCHERS)
