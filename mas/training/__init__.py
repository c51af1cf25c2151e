"""Spam training by what users do: into Junk is spam, out of Junk (but not into Trash) is ham.

``learner`` decides, ``rspamd`` speaks HTTP.
"""
