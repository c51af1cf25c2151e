"""imapsieve: what a script may ask in IMAP events. [RFC6785]

The items come from whoever runs the script at an event; the extension is what lets it be required.
"""

from __future__ import annotations

from mas.sieve.definition import Extension

IMAPSIEVE = Extension("imapsieve", implies=("environment", "imap4flags"))
