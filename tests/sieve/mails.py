"""The mails that scripts are tried on: with parts, plain, next to nothing, and parts within parts."""

from __future__ import annotations

from tests.sieve.support import MAIL

MAILS = {
    "mixed": MAIL,
    "plain": """\
From: "Doe, Jane" <JANE.Doe@Example.COM>, pat@example.net
Sender: <secretary@example.com>
To: Team: a@example.net, b@example.net;
Cc: "quoted @ local"@example.net
Subject:   =?ISO-8859-1?Q?Gr=FC=DFe?= =?ISO-8859-1?Q?_aus_K=F6ln?=
Date: Sat, 28 Feb 2026 23:59:59 -0530
Message-ID: <2@example.com>
X-Spam-Flag: YES
X-Empty:
X-Folded: one
 two
\tthree
X-Many: a
X-Many: b
X-Many: c
X-Number: -5
X-Number: 0012abc
List-Id: <l.example.com>
Received: from a by b; Sat, 28 Feb 2026 23:59:59 -0530

Line one.
Line two has MONEY and *stars*.
""",
    "bare": "Subject: no more\n\n",
    "nested": """\
From: pat@example.net
To: lee@example.net
Subject: [bug 1234] A * star and a \\\\ backslash
Date: Thu, 01 Jan 1970 00:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

preamble money
--outer
Content-Type: message/rfc822

From: inner@example.org
Subject: inner subject
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: base64

R3L832UgYXVzIEv2bG4=
--inner
Content-Type: text/html

<p>Gr&uuml;&szlig;e</p>
--inner--
--outer
Content-Type: image/png; name="a picture.png"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="a picture.png"

iVBORw0KGgo=
--outer--
""",
}
