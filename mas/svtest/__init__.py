"""Sieve tested in Sieve: scripts ``*.svtest`` whose commands set a message, run scripts over it, and look at what came out.

The language is that of Pigeonhole's testsuite (``vnd.dovecot.testsuite``), so that its users' tests run here. ``commands`` is an extension
like any other, registered from outside of ``mas.sieve``; ``bench`` is the host that a file is tried on: the filter, the delivery, the queue
and a mail store, all real, in a folder that is gone afterwards; ``run`` runs a file and says which tests failed, and where.
"""
