"""Sieve at delivery: the user's scripts are found, compiled once, run, and what they decided is carried out.

``scripts`` loads and caches, ``view`` shows the message to the interpreter, ``answers`` answers its questions, ``memory`` remembers ids
and vacation replies, ``programs`` runs external programs, ``filter`` puts it together for ``mas.delivery``.
"""
