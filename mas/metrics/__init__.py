"""What the server counts, and how the counts of all its processes become one page for Prometheus.

Counting is like logging: anybody may do it, and no object is handed through ten constructors for it. ``mas.metrics.table`` names every
metric; the code that knows of an event adds to it there (``table.DELIVERIES["saved"].add()``). An addition is one element of an array,
a tenth of a microsecond: no lock, no dictionary of labels, no allocation.

``cells``: the arrays, in memory that all processes share. ``table``: the metrics. ``text``: Prometheus's text format. ``health``: whether
the workers live. Must not know: protocols, HTTP, who asks.
"""
