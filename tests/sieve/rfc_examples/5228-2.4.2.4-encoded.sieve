# [RFC5228 2.4.2.4]

require "encoded-character";
if header :contains "Subject" "$${hex:24 24}" {
   discard;
}
