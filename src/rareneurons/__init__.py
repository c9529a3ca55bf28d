"""How single MLP neurons influence the prediction of rare tokens, measured with controls that can say no.

The modules, in the order data flows: ``models``, ``corpus``, ``rows``, ``trace``, ``influence``, ``regimes``,
``known_types``, ``groups``; then the independent measures of a group (``coordination``, ``organization``,
``attention``, ``spectra``, ``neuron_types``); then ``dynamics``, ``claims``, ``comparison``, ``figures``, ``report``.
``stats``, ``tables``, ``evidence`` and ``errors`` serve them all. ``planning`` is what the workflow plans with, and
``conventions`` what both agree on. Only ``planning`` knows rules or Snakemake. Nothing here knows global state; nothing
prints.
"""

__version__ = "0.1.0"
