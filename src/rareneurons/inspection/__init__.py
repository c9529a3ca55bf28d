"""A model in memory, texts in memory: the same numbers as the workflow's, without files and without Snakemake.

``opening`` opens a model, ``texts`` chooses the rows, ``effects`` has the influence and joint ablation, ``measurements``
measures any set of neurons, ``sentence`` looks at one text, ``verdicts`` decides claims and ``drawing`` draws.
"""

from rareneurons.inspection.drawing import figures
from rareneurons.inspection.effects import influence, joint
from rareneurons.inspection.measurements import Measurements, measure
from rareneurons.inspection.opening import OpenModel, load
from rareneurons.inspection.sentence import where
from rareneurons.inspection.sizes import Sizes
from rareneurons.inspection.storing import save
from rareneurons.inspection.verdicts import claims

__all__ = [
    "Measurements",
    "OpenModel",
    "Sizes",
    "claims",
    "figures",
    "influence",
    "joint",
    "load",
    "measure",
    "save",
    "where",
]
