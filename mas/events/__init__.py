"""What clients do to mail, for those who act on it behind their backs: spam training, scripts at IMAP events.

``model`` is an event and its line in the journal, ``journal`` keeps events on disk, ``desk`` takes them from the IMAP handlers and hands
them to the listeners.
"""
