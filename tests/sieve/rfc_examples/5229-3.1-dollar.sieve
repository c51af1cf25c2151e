# [RFC5229 3.1]
# Completed here:
require "variables";

set "dollar" "$";
set "text" "regarding ${dollar}{beep}";
