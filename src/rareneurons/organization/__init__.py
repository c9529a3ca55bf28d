"""Do the neurons of a group form communities, share information, or have neighbouring indices?

``divisions``: does a group divide into discrete clusters, which C4 rests on; ``communities``: partitions of signed
graphs and their quality; ``information``: mutual information between neurons;
``activations``: the activations of a layer and their circular shifts; ``measures``: all measures of a group and its
nulls; ``pictures``: correlation matrices to draw; ``estimates``: the measures with intervals and tests.
"""
