"""``mas doctor``: what is wrong with this host, and what to do about it.

Small checks, each a function that looks at one thing and gives findings: ``traps`` (the configuration alone, pure), ``postfix`` (Postfix's
settings beside ours, pure but for asking postconf), ``system`` (files, certificates, disk, limits), ``services`` (databases, submission,
Rspamd, the running server). ``checkup`` runs them all. Promises: nothing is changed, nothing is created; a check that fails itself is a
finding; it works whether the server runs or not.
"""
