# [RFC5228 4.2]

redirect "bart@example.com";
