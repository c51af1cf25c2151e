"""Mail that MAS sends: redirects, vacation replies, rejections, notifications, reports.

``compose`` (pure) writes the messages, ``queue`` keeps them on disk until they are gone, ``transport`` hands them to the submission server
or to sendmail. A delivery enqueues before it answers: what was promised survives a submission server that is down and a power cut.
"""
