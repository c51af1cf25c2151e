# [RFC5435 4]
# Completed here:
require "enotify";

if not valid_notify_method ["mailto:",
        "http://gw.example.net/notify?test"] {
    stop;
}
