"""Do the neurons of a group form communities, share information, or lie together?

``communities``: partitions of signed graphs and how good they are; ``information``: mutual information between neurons;
``group``: both for a group of neurons, against controls and shifts; ``paper_table``: the numbers beside one another.
"""
