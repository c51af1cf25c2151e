# [RFC6785 5]

require ["enotify", "imap4flags", "variables",
         "environment", "imapsieve"];

if environment :matches "imap.mailbox" "*" {
    set "mailbox" "${1}";
}

if allof (hasflag "\\Flagged",
          environment :contains "imap.changedflags" "\\Flagged") {
  notify :message "Important message in ${mailbox}"
      "xmpp:tim@example.com?message;subject=SIEVE";
}
