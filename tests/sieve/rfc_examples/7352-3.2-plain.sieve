# [RFC7352 3.2]

require "duplicate";
if duplicate {
  discard;
}
