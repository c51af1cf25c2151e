# What the spam filter has marked goes to the Junk mailbox.
#
#   [sieve]
#   before = ["/etc/mas/sieve/spam-to-junk.sieve"]
#
# Rspamd's milter marks with "X-Spam: Yes" (milter_headers: use = ["x-spamd-result", "x-spam"]); SpamAssassin and others with X-Spam-Flag.
# Where only X-Spamd-Result is written, the action in it is no part of the field: its "[score / required]" is. The third test takes scores of
# 15 and more; change the pattern for another limit.
require ["fileinto", "mailbox", "regex", "imap4flags"];

if anyof (
    header :is "X-Spam" "Yes",
    header :is "X-Spam-Flag" "YES",
    header :regex "X-Spamd-Result" "^default: [A-Za-z]+ \\[(1[5-9]|[2-9][0-9]|[0-9]{3,})(\\.[0-9]+)? / "
) {
    fileinto :create "Junk";
    stop;
}
