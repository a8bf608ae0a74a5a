"""What people do around their leaving, as streams of events through the real pipeline: leaks that must raise
an alert about the right person, and look-alikes that must stay silent.

A stream (streams.py) writes a script (script.py) into a made-up company (company.py, ordinary_days.py):
events as the collectors send them (observed_acts.py), and what HR and administrators declare, each at its
moment. replay.py plays it: agents enrol and sign, records go over the embedded log, the pipeline works on
SQLite. Each variant of a stream has other names, machines, addresses, dates, amounts and another order of
arrival.

No model is trained: what is judged here are the rules and the facts that they stand on.
"""
