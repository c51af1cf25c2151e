# [RFC5293 7]
# Completed here:
require "editheader";

keep;
addheader "X-Flavor" "vanilla";
keep;
