# [RFC5228 4.4]

if header :contains ["from"] ["idiot@example.com"] {
   discard;
}
