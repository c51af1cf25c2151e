# [RFC5232 3.2]
# Completed here:
require ["imap4flags", "variables"];

addflag "flagvar" "\\Deleted";
addflag "flagvar" "\\Answered";
