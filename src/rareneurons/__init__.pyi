"""What type checkers and editors see of the package: the public functions, which are imported when first used."""

from rareneurons.inspection import Examples as Examples
from rareneurons.inspection import Measurements as Measurements
from rareneurons.inspection import OpenModel as OpenModel
from rareneurons.inspection import RunAudit as RunAudit
from rareneurons.inspection import Sizes as Sizes
from rareneurons.inspection import audit as audit
from rareneurons.inspection import claims as claims
from rareneurons.inspection import examples as examples
from rareneurons.inspection import figures as figures
from rareneurons.inspection import influence as influence
from rareneurons.inspection import joint as joint
from rareneurons.inspection import load as load
from rareneurons.inspection import measure as measure
from rareneurons.inspection import save as save
from rareneurons.inspection import where as where

PUBLIC: tuple[str, ...]
__version__: str
