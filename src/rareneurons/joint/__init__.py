"""Joint ablation: what happens to the prediction when all neurons of a group are held at their references at once."""

from rareneurons.callable_package import make_callable

make_callable(__name__)
