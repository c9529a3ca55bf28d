"""How single MLP neurons influence the prediction of rare tokens, measured with controls that can say no.

The rooms, in the order data flows: ``models``, ``corpus``, ``rows``, ``trace``, ``influence``, ``regimes``,
``groups``, then four independent measures of a group (``coordination``, ``organization``, ``attention``,
``spectra``), ``dynamics``, ``claims``, ``comparison``, ``figures``, ``report``. ``stats``, ``tables`` and ``errors``
serve them all; ``planning`` is what the workflow plans with, ``conventions`` what it and the library agree on.
Nothing but ``planning`` knows rules or Snakemake; nothing here knows global state; nothing prints.
"""

__version__ = "0.1.0"
