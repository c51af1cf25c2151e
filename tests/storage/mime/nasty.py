"""Messages that mail servers disagree about, by name. ``messages()`` makes CRLF of the LF here, unless AS_IS or LF_TOO say otherwise.

Their answers by Dovecot 2.3.19 are in ``dovecot.json``; ``test_dovecot.py`` compares.
"""

from __future__ import annotations

import base64

H = "From: a@example.net\nTo: b@example.net\nSubject: s\nDate: Mon, 2 Nov 2026 10:11:12 +0100\nMessage-ID: <1@example.net>\n"
M = H + "MIME-Version: 1.0\n"


def mixed(inner: str, boundary: str = "b1", head: str = M, subtype: str = "mixed", tail: str = "") -> str:
    return f"{head}Content-Type: multipart/{subtype}; boundary={boundary}\n{tail}\n{inner}"


TEXT: dict[str, str | bytes] = {
    # Plain
    "empty": "",
    "one-newline": "\n",
    "one-octet": "x",
    "only-header": "Subject: x\nFrom: a@b\n",
    "only-header-no-newline": "Subject: x\nFrom: a@b",
    "only-header-blank": "Subject: x\n\n",
    "only-body": "\nhello\nworld\n",
    "body-no-newline": H + "\nhello",
    "body-many-newlines": H + "\n\n\n\n",
    "no-colon-line": "Subject: x\nthis is no field\nFrom: a@b\n\nbody\n",
    "first-line-folded": " folded first\nSubject: x\n\nbody\n",
    "mbox-from-line": "From someone Mon Jan  1 00:00:00 2026\nSubject: x\n\nbody\n",
    "space-before-colon": "Subject : spaced\nTo\t: a@b\n\nbody\n",
    "empty-name": ": nothing\nSubject: x\n\nbody\n",
    "empty-values": "Subject:\nTo:\nFrom: \nDate:\nMessage-ID:\nCc:   \n\nbody\n",
    "no-space-after-colon": "Subject:x\nTo:a@b\nFrom:c@d\n\nbody\n",
    "folded": "Subject: one\n two\n\tthree\n   four   \n \n five\nTo: a@b,\n c@d\n\nbody\n",
    "folded-empty-first": "Subject:\n after\nTo:\n a@b\n\nbody\n",
    "spaces-runs": "Subject:   a   b\t\tc \t d   \nFrom: a@b\n\nbody\n",
    "whitespace-line-in-header": "Subject: x\n \nFrom: a@b\n\nbody\n",
    "duplicates": (
        "Subject: one\nSubject: two\nTo: a@b\nTo: c@d\nFrom: e@f\nFrom: g@h\nDate: Mon, 2 Nov 2026 10:11:12 +0100\n"
        "Date: Tue, 3 Nov 2026 10:11:12 +0100\nMessage-ID: <1@x>\nMessage-ID: <2@x>\nCc: x@y\nCC: z@y\n\nbody\n"
    ),
    "eight-bit-utf8": "Subject: größe\nFrom: Jürgen <j@example.net>\n\nbody ü\n".encode(),
    "eight-bit-latin1": "Subject: größe\nFrom: Jürgen <j@example.net>\n\nbody ü\n".encode("latin-1"),
    "nul": b"Subject: a\0b\nFrom: x\0 <a\0@b>\n\nbo\0dy\n",
    "quote-and-backslash": 'Subject: say "hi" \\ there\nFrom: "a \\"b\\" c" <a@b>\n\nbody\n',
    "long-subject": "Subject: " + "x" * 1500 + "\n\nbody\n",
    "long-line": H + "\n" + "y" * 3000 + "\nz\n",
    "long-name": "X" * 500 + ": v\nSubject: x\n\nbody\n",
    "bare-cr": b"Subject: a\rb\r\nTo: x@y\r\n\r\nbo\rdy\r\rend\r\n",
    "control": "Subject: a\x01b\x7fc\x08\nFrom: \x02 <a@b>\n\nbody\n",
    # Addresses
    "addr-plain": "From: a@example.net\nTo: b@example.net, c@example.net\nCc: <d@example.net>\n\nx\n",
    "addr-names": 'From: A B <a@b>\nTo: "A, B" <a@b>, A. B. Cee <c@d>, "x" y "z" <e@f>\n\nx\n',
    "addr-comment": "From: a@b (Joe Q)\nTo: a(x)@(y)b(z), (c1) n (c2) <d@e> (c3), f@g (one) (two)\n\nx\n",
    "addr-nested-comment": "From: a@b (x (y) \\) z)\nTo: (only comment)\nCc: a@b (unterminated\n\nx\n",
    "addr-group": "To: undisclosed-recipients:;\nCc: Grp: a@b, C <c@d>;, e@f\nBcc: g1:;,g2: x@y;\n\nx\n",
    "addr-group-broken": "To: Grp: a@b, c@d\nCc: Grp:\nBcc: G: a@b, H: c@d;;\nReply-To: :;\n\nx\n",
    "addr-group-quoted": 'To: "My Group": a@b;\nCc: g :a@b ;\n\nx\n',
    "addr-route": "From: <@r1,@r2:a@b>\nTo: N <@r1:a@b>\nCc: <@r1 a@b>\nBcc: <@:a@b>\n\nx\n",
    "addr-broken": "From: a\nTo: a b c\nCc: <a>\nBcc: <>\nReply-To: a@\nSender: @b\n\nx\n",
    "addr-broken-2": "From: <a@b\nTo: a@b c@d\nCc: a <b> c <d@e>\nBcc: ,,a@b,,\nReply-To: a b <c d@e>\nSender: <a@b>>\n\nx\n",
    "addr-broken-3": 'From: "unterminated <a@b>\nTo: <"x y"@b>\nCc: "x"@b\nBcc: a"b"c@d\nReply-To: a.b."c d".e@f\n\nx\n',
    "addr-broken-4": "From: a@b@c\nTo: a@[192.0.2.1]\nCc: a@[x y], <b@[z]\nBcc: a@b.\nReply-To: .a@b, a..b@c, a.@b\n\nx\n",
    "addr-broken-5": "From: a; b\nTo: a@b; c@d\nCc: a@b\\, c@d\nBcc: <<a@b>>\nReply-To: <a@b> trailing\nSender: N a@b\n\nx\n",
    "addr-broken-6": "From: mailto:a@b\nTo: N (c) <a@b> (d) x, e@f\nCc: [a@b]\nBcc: a b@c\nReply-To: 'q' <a@b>\n\nx\n",
    "addr-broken-7": "From: ()\nTo: <()>\nCc: a@()\nBcc: (a)@b\nReply-To: )a@b\n\nx\n",
    "addr-spaces": "From: a . b @ c . d\nTo: < a @ b >\nCc:  a  b   <a@b>\nBcc: a.b .c@d\n\nx\n",
    "addr-utf8": "From: Jürgen Groß <jürgen@größe.example>\nTo: ü@ö\n\nx\n",
    "addr-encoded": 'From: =?utf-8?q?J=C3=BCrgen?= <j@b>\nTo: =?utf-8?q?a=2C_b?= <c@d>\nCc: "=?utf-8?q?x?=" <e@f>\n\nx\n',
    "addr-sender-only": "Sender: s@b\nReply-To: r@b\n\nx\n",
    "addr-empty-sender": "From: a@b\nSender:\nReply-To: \n\nx\n",
    "addr-empty-name": 'From: "" <a@b>\nTo: <>\nCc: "" <>\n\nx\n',
    "addr-quoted-pairs": 'From: "a\\\\b\\"c" <"x\\"y"@b>\nTo: "a\n b" <c@d>\n\nx\n',
    "addr-many": "To: " + ", ".join(f"u{i}@example.net" for i in range(60)) + "\n\nx\n",
    "addr-dots-in-name": "From: J.R.R. Tolkien <j@b>\nTo: .x <a@b>\nCc: a.b <c@d>\nBcc: Dr.No. <a@b>\n\nx\n",
    "addr-atsign-in-name": "From: a@b <c@d>\nTo: x@y.example (N) <c@d>\n\nx\n",
    "addr-percent": "From: a%b@c\nTo: a!b!c\nCc: <a%b>\n\nx\n",
    "addr-comment-in-angle": "From: N <a(c)@b>\nTo: N <(c)a@b(d)>\n\nx\n",
    "addr-semicolon-list": "To: a@b;c@d;\nCc: a@b,;c@d\n\nx\n",
    "addr-folded-name": 'From: One\n Two\n\tThree <a@b>\nTo: "One\n Two" <a@b>\n\nx\n',
    # Encoded words
    "ew-adjacent": "Subject: =?utf-8?q?a?= =?utf-8?q?b?=\n =?utf-8?q?c?= d\n\nx\n",
    "ew-broken": "Subject: =?utf-8?q?a =?utf-8?x?b?= =?utf-8?q?c?d?= =??q?e?= =?utf-8?b?!!!?=\n\nx\n",
    "ew-unknown-charset": "Subject: =?x-nope?q?a=E4?= =?utf-8?q?=FF?=\n\nx\n",
    "ew-folded-in-word": "Subject: =?utf-8?q?a\n b?=\n\nx\n",
    # Ids, dates
    "ids": "Message-ID: <a b@c>\nIn-Reply-To: <x@y>  <z@y>\n\t(comment)\nReferences: <1@x> <2@x>\n\nx\n",
    "ids-bare": 'Message-ID: no-brackets\nIn-Reply-To: "quoted" text\n\nx\n',
    "date-odd": "Date:   Mon,  2  Nov 26 1:2 EST (comment)\n\nx\n",
    "date-8bit": "Date: Mon, 2 März 2026\n\nx\n".encode(),
    # Content-Type
    "ct-plain": M + "Content-Type: text/plain\n\nx\n",
    "ct-charset": M + 'Content-Type: TEXT/Plain; CHARSET="UTF-8"; format=flowed; delsp=yes\n\nx\n',
    "ct-no-version": H + "Content-Type: text/html; charset=utf-8\n\n<p>\n",
    "ct-empty": M + "Content-Type:\n\nx\n",
    "ct-no-subtype": M + "Content-Type: text\n\nx\n",
    "ct-no-subtype-params": M + "Content-Type: text; charset=utf-8\n\nx\n",
    "ct-slash-only": M + "Content-Type: text/\n\nx\n",
    "ct-garbage": M + "Content-Type: @@@ garbage\n\nx\n",
    "ct-no-type": M + "Content-Type: /plain; charset=utf-8\n\nx\n",
    "ct-spaces": M + 'Content-Type: text / html ; charset = utf-8 ; x = "a b"\n\nx\n',
    "ct-comments": M + "Content-Type: (a) text (b) / (c) html (d) ; (e) charset (f) = (g) utf-8 (h)\n\nx\n",
    "ct-duplicate": M + "Content-Type: text/plain; charset=a\nContent-Type: text/html; charset=b\n\nx\n",
    "ct-duplicate-params": M + "Content-Type: text/plain; charset=a; charset=b; name=x\n\nx\n",
    "ct-trailing-semicolon": M + "Content-Type: text/plain; charset=utf-8;\n\nx\n",
    "ct-empty-params": M + "Content-Type: text/plain;; ;charset=utf-8; ;name=\n\nx\n",
    "ct-param-no-value": M + "Content-Type: text/plain; charset; name=x\n\nx\n",
    "ct-param-missing-semicolon": M + "Content-Type: text/plain charset=utf-8 name=x\n\nx\n",
    "ct-param-comma": M + "Content-Type: text/plain, charset=utf-8\n\nx\n",
    "ct-param-unquoted-space": M + "Content-Type: application/pdf; name=my file (1).pdf; x=y\n\nx\n",
    "ct-param-unquoted-special": M + "Content-Type: application/pdf; name=a[1].pdf; x=y\n\nx\n",
    "ct-param-unquoted-8bit": M + "Content-Type: application/pdf; name=größe.pdf; x=y\n\nx\n",
    "ct-param-quoted-8bit": M + 'Content-Type: application/pdf; name="größe.pdf"; x=y\n\nx\n',
    "ct-param-unterminated": M + 'Content-Type: text/plain; name="abc; charset=utf-8\n\nx\n',
    "ct-param-quotes": M + 'Content-Type: text/plain; name="a\\"b\\\\c"; x=\'q\'\n\nx\n',
    "ct-param-folded": M + 'Content-Type: text/plain;\n\tname="a\n b";\n charset=x\n\nx\n',
    "ct-param-empty-quoted": M + 'Content-Type: text/plain; charset=""; name=""\n\nx\n',
    "ct-param-after-quote": M + 'Content-Type: text/plain; name="a"b; x=y\n\nx\n',
    "ct-param-equals": M + "Content-Type: text/plain; name=a=b; x==y\n\nx\n",
    "ct-rfc2231": M + "Content-Type: application/x; name*=utf-8'en'gr%C3%B6%C3%9Fe; a*0=one; a*1=two\n\nx\n",
    "ct-rfc2231-cont": M
    + "Content-Type: application/x; n*0*=utf-8''a%20; n*1*=b%20; n*2=c d; n*2=\"c%d\"; m*1=y; m*0=x\n\nx\n",
    "ct-rfc2231-escape": M
    + "Content-Type: application/x; n*0*=utf-8''a; n*1=\"b %c'd*(e)\\\"\u00fc\"; n*2=x!y#$&+-.^_`{|}~; m*0*=''; m*1=\"<>@,;:/[]?=\"\n\nx\n",
    "ct-rfc2231-case": M + 'Content-Type: application/x; Name*1=b; NAME*0=a; Other*0="c "; other*1=""\n\nx\n',
    "ct-multipart-alone": M + "Content-Type: multipart\n\nx\n",
    "ct-value-missing-at-end": M + "Content-Type: text/plain; charset=\n\nx\n",
    "ct-three-broken-params": M + "Content-Type: text/plain; a; b=1; c=2; d; e=3; =x; f=4\n\nx\n",
    "date-spaces": "Date:  Mon, 2 Nov 2026   \n 10:11:12 +0100  \nMessage-ID:   <a@b>  \n\nx\n",
    "fields-not-last": "Subject: x\nX-Other: 1\nTo: a@b",
    "ct-rfc2231-gaps": M
    + "Content-Type: application/x; n*0=a; n*2=c; m*1=b; k*x=1; j*=plain; i*01=z; h*0=a; h=b\n\nx\n",
    "ct-rfc2231-mixed": M + "Content-Type: application/x; n=\"old\"; n*=utf-8''new; n*0=c0; n*1=c1\n\nx\n",
    "ct-token-odd": M + "Content-Type: te.xt/x-y.z+w!#$%&; a.b=c\n\nx\n",
    "ct-text-no-charset": M + "Content-Type: text/html; name=x\n\nx\n",
    "ct-unicode-type": M + "Content-Type: täxt/plain; charset=x\n\nx\n",
    "ct-encoded-word": M + 'Content-Type: application/x; name="=?utf-8?q?x=C3=B6?="; y==?utf-8?q?z?=\n\nx\n',
    # Other MIME fields
    "cte-odd": M + 'Content-Transfer-Encoding: "BASE64"\n\nx\n',
    "cte-comment": M + "Content-Transfer-Encoding: (c) Quoted-Printable (d)\n\nx=3D\n",
    "cte-empty": M + "Content-Transfer-Encoding:\n\nx\n",
    "cte-two-words": M + "Content-Transfer-Encoding: 8 bit\n\nx\n",
    "cte-semicolon": M + "Content-Transfer-Encoding: base64;\n\neHg=\n",
    "cte-unknown": M + "Content-Transfer-Encoding: x-nope\n\nx\n",
    "mime-fields": M
    + "Content-ID: <id@x>\nContent-Description: some\n  text\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n"
    + 'Content-Disposition: attachment; filename="a b.txt"\nContent-Language: en, de\nContent-Location: http://x/\n\tb\n\nx\n',
    "mime-fields-odd": M
    + "Content-ID: (c) <i d@x>\nContent-Description:\nContent-MD5: (x) abc\nContent-Disposition: attachment filename=x\n"
    + "Content-Language: en (c), (d) de, , fr-CA,\nContent-Location: \n\nx\n",
    "mime-fields-broken": M
    + "Content-Disposition:\nContent-Language:\nContent-ID:\nContent-Location: a b  c\nContent-MD5:\n\nx\n",
    "mime-fields-broken-2": M
    + "Content-Disposition: =?utf-8?q?inline?=; filename*=utf-8''%41\nContent-Language: \"en\"; x\nContent-Description: ü\n\nx\n",
    "mime-fields-duplicate": M
    + "Content-Disposition: inline\nContent-Disposition: attachment\nContent-ID: <1>\nContent-ID: <2>\n"
    + "Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64\n\nx\n",
    "language-one": M + "Content-Language: en\n\nx\n",
    "version-comment": H + "MIME-Version: (x) 1.0 (y)\nContent-Type: text/html\n\nx\n",
    "version-odd": H + "MIME-Version: 2.0\nContent-Type: text/html\n\nx\n",
    # Multiparts
    "mp-plain": mixed("pre\n--b1\n\none\n--b1\nContent-Type: text/html\n\ntwo\n--b1--\npost\n"),
    "mp-alternative": mixed(
        "--b1\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nh=C3=A4\n\n--b1\n"
        "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGI+\n--b1--\n",
        subtype="alternative",
    ),
    "mp-no-end": mixed("--b1\n\none\n--b1\n\ntwo\n"),
    "mp-no-end-no-newline": mixed("--b1\n\none\n--b1\n\ntwo"),
    "mp-no-parts": mixed("nothing here\n"),
    "mp-empty-body": mixed(""),
    "mp-no-blank": f"{M}Content-Type: multipart/mixed; boundary=b1\n",
    "mp-only-end": mixed("--b1--\n"),
    "mp-only-start": mixed("--b1\n"),
    "mp-only-start-no-newline": mixed("--b1"),
    "mp-empty-parts": mixed("--b1\n--b1\n\n--b1\n\n\n--b1\nContent-Type: text/html\n--b1--\n"),
    "mp-no-boundary-param": mixed("--b1\n\none\n--b1--\n").replace("; boundary=b1", ""),
    "mp-empty-boundary": mixed("--\n\none\n--\n\ntwo\n----\n", boundary='""'),
    "mp-quoted-boundary": mixed("--b 1\n\none\n--b 1--\n", boundary='"b 1"'),
    "mp-boundary-trailing-space": mixed("--b1 \n\none\n--b1\t\n\ntwo\n--b1-- \n"),
    "mp-boundary-trailing-text": mixed("--b1x\n\none\n--b1 yy\n\ntwo\n--b1-\n\nthree\n--b1--zz\nend\n"),
    "mp-boundary-param-trailing-space": mixed("--b1\n\none\n--b1--\n", boundary='"b1 "'),
    "mp-boundary-case": mixed("--B1\n\none\n--b1--\n"),
    "mp-boundary-in-line": mixed("--b1\n\none --b1\n --b1\n--b1--\n"),
    "mp-boundary-long": mixed("--" + "x" * 100 + "\n\none\n--" + "x" * 100 + "--\n", boundary="x" * 100),
    "mp-boundary-long-prefix": mixed("--" + "x" * 90 + "\n\none\n--" + "x" * 90 + "--\n", boundary="x" * 100),
    "mp-boundary-dashes": mixed("--b--\n\none\n--b----\n", boundary="b--"),
    "mp-after-end": mixed("--b1\n\none\n--b1--\n\n--b1\n\ntwo\n--b1--\n"),
    "mp-boundary-as-header": mixed("--b1\nContent-Type: text/html\n--b1\nX: y\n--b1--\n"),
    "mp-part-no-blank": mixed("--b1\nContent-Type: text/html\nbody without blank\n--b1--\n"),
    "mp-nested": mixed(
        "--b1\nContent-Type: multipart/alternative; boundary=b2\n\npre2\n--b2\n\nx\n--b2\nContent-Type: text/html\n\ny\n"
        "--b2--\npost2\n--b1\nContent-Type: image/png; name=x.png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b1--\npost\n"
    ),
    "mp-nested-no-inner-end": mixed(
        "--b1\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\n\nx\n--b1\n\ny\n--b1--\n"
    ),
    "mp-nested-same-boundary": mixed(
        "--b1\nContent-Type: multipart/alternative; boundary=b1\n\n--b1\n\nx\n--b1--\n--b1\n\ny\n--b1--\n"
    ),
    "mp-nested-prefix-boundary": mixed(
        "--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\nx\n--bb--\n--b\n\ny\n--b--\n", boundary="b"
    ),
    "mp-nested-prefix-boundary-2": mixed(
        "--bb\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b--\n--bb\n\ny\n--bb--\n", boundary="bb"
    ),
    "mp-nested-empty": mixed("--b1\nContent-Type: multipart/mixed; boundary=b2\n\n--b1\n\ny\n--b1--\n"),
    "mp-nested-no-boundary": mixed("--b1\nContent-Type: multipart/mixed\n\nx\n--b1\n\ny\n--b1--\n"),
    "mp-ext-data": mixed(
        "--b1\n\nx\n--b1--\n",
        tail="Content-Disposition: inline; x=y\nContent-Language: en\nContent-Location: loc\nContent-ID: <c>\n",
    ),
    "mp-digest": mixed(
        "--b1\n\nSubject: inner\nFrom: i@x\n\nbody\n--b1\nContent-Type: text/plain\n\nplain\n--b1--\n", subtype="digest"
    ),
    "mp-upper": mixed("--b1\n\nx\n--b1--\n").replace("multipart/mixed; boundary", "MultiPart/Mixed; BOUNDARY"),
    "mp-rfc2231-boundary": mixed("--b1\n\nx\n--b1--\n").replace("boundary=b1", "boundary*0=b; boundary*1=1"),
    "mp-rfc2231-boundary-ext": mixed("--b1\n\nx\n--b1--\n").replace("boundary=b1", "boundary*=us-ascii''b1"),
    "mp-two-boundaries": mixed("--b2\n\nx\n--b2--\n--b1\n\ny\n--b1--\n").replace(
        "boundary=b1", "boundary=b1; boundary=b2"
    ),
    "mp-encoded": mixed("--b1\n\nx\n--b1--\n", tail="Content-Transfer-Encoding: base64\n"),
    "mp-no-subtype": mixed("--b1\n\nx\n--b1--\n").replace("multipart/mixed", "multipart"),
    "mp-broken-type": mixed("--b1\n\nx\n--b1--\n").replace("multipart/mixed", "multipart/"),
    "mp-bare-lf": mixed("pre\n--b1\n\none\n--b1\nContent-Type: text/html\n\ntwo\n--b1--\npost\n").encode() + b"lf\n",
    "mp-mixed-line-ends": b"".join(
        line + (b"\r\n" if i % 2 else b"\n")
        for i, line in enumerate(mixed("--b1\n\none\n\n--b1\n\ntwo\nthree\n\n--b1--\n").encode().split(b"\n"))
    ),
    "mp-cr-before-boundary": b"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n\r\none\r\r\n--b1\r\n\r\ntwo\r--b1\r\n--b1--\r\n",
    "mp-attachment-disposition": mixed(
        "--b1\nContent-Type: text/plain; name=x\nContent-Disposition: attachment;\n filename*0*=utf-8''%E4;\n filename*1=x;"
        " size=3\n\nx\n--b1--\n"
    ),
    "mp-many": mixed("".join(f"--b1\nX-N: {i}\n\npart {i}\n" for i in range(40)) + "--b1--\n"),
    "mp-blank-lines-in-part": mixed("--b1\n\n\n\none\n\n\n--b1--\n\n\n"),
    "mp-duplicate-type": mixed("--b1\n\nx\n--b1--\n", tail="Content-Type: text/plain\n"),
    "mp-type-then-multipart": M
    + "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b1\n\n--b1\n\nx\n--b1--\n",
    # message/rfc822
    "rfc822": M + "Content-Type: message/rfc822\n\nSubject: in\nFrom: A <a@b>\nTo: c@d\n\nbody\nmore\n",
    "rfc822-params": M
    + "Content-Type: Message/RFC822; name=x.eml\nContent-Disposition: attachment\n\nSubject: in\n\nbody\n",
    "rfc822-empty": M + "Content-Type: message/rfc822\n\n",
    "rfc822-no-blank": M + "Content-Type: message/rfc822\n\nSubject: in\n",
    "rfc822-base64": M
    + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    + base64.b64encode(b"Subject: in\r\n\r\nbody\r\n").decode()
    + "\n",
    "rfc822-in-mp": mixed("--b1\n\none\n--b1\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--b1--\n"),
    "rfc822-in-mp-no-blank": mixed("--b1\nContent-Type: message/rfc822\n\nSubject: in\nX: y\n--b1\n\ntwo\n--b1--\n"),
    "rfc822-in-mp-empty": mixed("--b1\nContent-Type: message/rfc822\n\n--b1\nContent-Type: message/rfc822\n--b1--\n"),
    "rfc822-mp-inside": mixed(
        "--b1\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n\nx\n--b2\n"
        "Content-Type: text/html\n\ny\n--b2--\n\n--b1\n\nlast\n--b1--\n"
    ),
    "rfc822-mp-inside-tight": mixed(
        "--b1\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n\nx\n--b2--\n--b1--\n"
    ),
    "mp-nested-tight": mixed("--b1\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n\nx\n--b2--\n--b1--\n"),
    "mp-nested-starts-at-once": mixed(
        "--b1\nContent-Type: multipart/mixed; boundary=b2\n--b2\n\nx\n--b2--\n\n--b1--\n"
    ),
    "mp-digest-nested": mixed(
        "--b1\n\nContent-Type: multipart/digest; boundary=b2\n\n--b2\n\nSubject: deep\n\nx\n--b2--\n\n--b1--\n",
        subtype="digest",
    ),
    "mp-deep": "".join(f"Content-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n" for i in range(20)) + "\nleaf\n",
    "rfc822-nested": M
    + "Content-Type: message/rfc822\n\nSubject: one\nContent-Type: message/rfc822\n\nSubject: two\nFrom: x\n\nbody\n",
    "rfc822-twice": mixed(
        "--b1\nContent-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: two\n\nbody\n--b1--\n"
    ),
    "message-global": M + "Content-Type: message/global\n\nSubject: ü\nFrom: a@b\n\nbody\n",
    "message-partial": M + "Content-Type: message/partial; id=x; number=1\n\nSubject: in\n\nbody\n",
    "delivery-status": mixed(
        "--b1\n\nnote\n--b1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; y\n"
        "--b1\nContent-Type: text/rfc822-headers\n\nSubject: in\n--b1--\n",
        subtype="report; report-type=delivery-status",
    ),
    # Encodings for BINARY
    "bin-base64": M + "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\naGVs\n bG8g\n\nd29ybGQ=\n",
    "bin-base64-bad": M + "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\naGVs*bG8\n",
    "bin-base64-concat": M + "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\naGU=\nbGxv\n",
    "bin-base64-short": M + "Content-Type: a/b\nContent-Transfer-Encoding: base64\n\naGVsb\n",
    "bin-qp": M + "Content-Transfer-Encoding: quoted-printable\n\na=3Db=\nc  \nd =\n\ne=C3=A4\n",
    "bin-qp-bad": M + "Content-Transfer-Encoding: quoted-printable\n\na=ZZb=3\n=\n==\nx\n",
    "bin-qp-lf": M + "Content-Transfer-Encoding: quoted-printable\n\na=0Ab=0D=0Ac\n",
    "bin-uu": M + "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n%:&5L;&\\\n`\nend\n",
    "bin-8bit": M + "Content-Transfer-Encoding: 8bit\n\nü\n",
    "bin-binary": M + "Content-Transfer-Encoding: binary\n\nü\n",
    "bin-mp": mixed(
        "--b1\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n--b1\nContent-Transfer-Encoding: quoted-printable\n\na=3Db\n--b1--\n"
    ),
}
AS_IS = ("bare-cr", "mp-bare-lf", "mp-mixed-line-ends", "mp-cr-before-boundary")
LF_TOO = ("mp-plain", "mp-nested", "rfc822-in-mp", "folded", "bin-qp", "mp-empty-parts", "rfc822-mp-inside", "bin-8bit")
"""Also asked with LF line ends, under the name ``…@lf``: what is served must be the same."""


def messages() -> dict[str, bytes]:
    """Name to octets."""
    result: dict[str, bytes] = {}
    for name, text in TEXT.items():
        data = text.encode() if isinstance(text, str) else text
        result[name] = data if name in AS_IS else data.replace(b"\n", b"\r\n")
        if name in LF_TOO:
            result[name + "@lf"] = data
    return result


SECTIONS = (
    "",
    "HEADER",
    "TEXT",
    "HEADER.FIELDS (SUBJECT TO X-N)",
    "HEADER.FIELDS.NOT (RECEIVED TO SUBJECT)",
    "1",
    "1.MIME",
    "1.HEADER",
    "1.TEXT",
    "1.HEADER.FIELDS (SUBJECT)",
    "2",
    "2.MIME",
    "2.HEADER",
    "2.TEXT",
    "1.1",
    "1.2",
    "1.1.1",
    "1.1.MIME",
    "2.1",
    "2.2",
    "2.1.MIME",
    "2.HEADER.FIELDS.NOT (SUBJECT)",
    "3",
)
