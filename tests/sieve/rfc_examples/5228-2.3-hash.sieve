# [RFC5228 2.3]

if size :over 100k { # this is a comment
   discard;
}
