"""The lines of the files that Neuronpedia imports.

The names, types and required columns are those of its database as published: github.com/hijohnnylin/neuronpedia, commit
ebb8426fc550ad5d1f76d52c271a624af3c08a57 (August 2026), ``apps/webapp/prisma/schema.prisma``. The importer,
``apps/webapp/app/api/admin/import/route.ts``, refuses unknown columns. Columns that are left out here have a default
in the database or may be empty.
"""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]+$", min_length=1, max_length=128)]
SourceId = Annotated[str, StringConstraints(pattern=r"^\d+-[a-zA-Z0-9_-]+$")]  # layer, then the source set's name
Index = Annotated[str, StringConstraints(pattern=r"^\d+$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Visibility = Literal["PUBLIC", "UNLISTED", "PRIVATE"]


class Line(BaseModel):
    """A row of a table; in the file its columns have their names in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    created_at: AwareDatetime

    def as_json(self) -> str:
        """The line in the file."""
        return self.model_dump_json(by_alias=True)


class Release(Line):
    """A row of ``SourceRelease``."""

    name: Identifier
    description: Text
    urls: list[str]
    creator_name: Text
    creator_id: Text
    visibility: Visibility = "PUBLIC"


class Model(Line):
    """A row of ``Model``."""

    id: Identifier
    display_name: Text
    display_name_short: Text
    creator_id: Text
    visibility: Visibility = "PUBLIC"
    layers: Count
    neurons_per_layer: Count
    owner: Text


class SourceSet(Line):
    """A row of ``SourceSet``."""

    model_id: Identifier
    name: Identifier
    description: Text
    creator_name: Text
    creator_id: Text
    release_name: Identifier
    urls: list[str]
    visibility: Visibility = "PUBLIC"


class Source(Line):
    """A row of ``Source``: one layer of a source set."""

    id: SourceId
    model_id: Identifier
    set_name: Identifier
    creator_id: Text
    visibility: Visibility = "PUBLIC"
    notes: str


class Feature(Line):
    """A row of ``Neuron``; ``layer`` is the id of its source."""

    model_id: Identifier
    layer: SourceId
    index: Index
    source_set_name: Identifier
    creator_id: Text
    max_act_approx: FiniteFloat


class Activation(Line):
    """A row of ``Activation``: a context with the neuron's activation at each token."""

    id: Identifier
    model_id: Identifier
    layer: SourceId
    index: Index
    tokens: list[str]
    values: list[FiniteFloat]
    max_value: FiniteFloat
    max_value_token_index: Count
    min_value: FiniteFloat
    qualifying_token_index: Count
    data_index: str
    creator_id: Text

    @model_validator(mode="after")
    def _of_the_values(self) -> Self:
        if len(self.tokens) != len(self.values) or not self.values:
            raise ValueError(f"found {len(self.tokens)} tokens and {len(self.values)} values")
        if self.qualifying_token_index >= len(self.values):
            raise ValueError("qualifyingTokenIndex is beyond the last token")
        largest = self.max_value, self.values[self.max_value_token_index]
        if set(largest) != {max(self.values)} or self.min_value != min(self.values):
            raise ValueError("maxValue, maxValueTokenIndex and minValue are not those of the values")
        return self


class Explanation(Line):
    """A row of ``Explanation``."""

    id: Identifier
    model_id: Identifier
    layer: SourceId
    index: Index
    description: Text
    author_id: Text
    notes: str
