# [RFC5293 5]
# Completed here:
require "editheader";

deleteheader :index 1 :contains "Delivered-To"
                        "bob@example.com";
