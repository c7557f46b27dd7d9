"""A whole network of the user's own, in place of trunk, value head and policy head."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from hexsearch.config.section import MAX_TEXT, Options, Section, is_import_path


class NetworkConfig(Section):
    """A network of your own, trunk and both heads, in place of `trunk` and `value_head`."""

    family: str = Field(max_length=MAX_TEXT, description="package.module:factory")
    options: Options = Field(
        default_factory=dict, description="keyword arguments of the factory, which may be searched"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_family(cls, raw: Any) -> Any:
        return {"family": raw} if isinstance(raw, str) else raw

    @model_validator(mode="after")
    def _is_import_path(self) -> NetworkConfig:
        if not is_import_path(self.family):
            raise ValueError(
                f"{self.family!r} is no import path; write 'package.module:factory', or choose a "
                "built-in trunk by trunk"
            )
        return self

    @property
    def name(self) -> str:
        """The factory with its options."""
        options = ",".join(f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{self.family}({options})" if options else self.family
