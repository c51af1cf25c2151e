# [RFC5232 3.1]
# Completed here:
require ["imap4flags", "variables", "fileinto"];

if header :contains "from" "boss@frobnitzm.example.edu" {
    setflag "flagvar" "\\Flagged";
    fileinto :flags "${flagvar}" "INBOX.From Boss";
}
