# [RFC5229 5]
# Completed here:
require "variables";

set "state" "${state} pending";
if string :matches " ${state} " "* pending *" {
    # the above test always succeeds
}
