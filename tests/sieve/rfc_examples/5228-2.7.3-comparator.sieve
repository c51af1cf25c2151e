# [RFC5228 2.7.3]

if header :contains :comparator "i;octet" "Subject"
      "MAKE MONEY FAST" {
   discard;
}
