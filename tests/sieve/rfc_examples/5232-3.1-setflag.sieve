# [RFC5232 3.1]
# Completed here:
require "imap4flags";

if size :over 500K {
    setflag "\\Deleted";
}
