"""Top examples of neurons: texts with their largest activations and effects, and which rare tokens they help.

``search`` finds the rows, ``windows`` looks at the tokens around them, ``token_effects`` averages by target token, and
``tables`` puts them together for a checkpoint.
"""

from rareneurons.callable_package import make_callable

make_callable(__name__)
