"""Dovecot's configuration, read and turned into MAS's.

``grammar`` cuts a file into statements, ``tree`` makes one tree of all included files, ``dialect24`` gives a tree of version 2.4 the names
of 2.3, ``convert`` walks the tree with a table (setting -> handler), and ``toml`` writes what came out. All of that is pure; ``files`` is
the one module that opens files.

Promise: every setting of the tree is carried over, or named in a comment with the reason. None is dropped in silence but those whose
value says what MAS does anyway.
"""
