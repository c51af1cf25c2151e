# [RFC3894 2]

require ["copy", "fileinto"];
fileinto :copy "incoming";

# ... more processing follows ...
