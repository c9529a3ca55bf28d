"""Effect of ablating each neuron: closed form, re-run from the final norm, re-run of whole layers, sums by document."""

from rareneurons.callable_package import make_callable

make_callable(__name__)
