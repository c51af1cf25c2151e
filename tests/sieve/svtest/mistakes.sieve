require "fileinto";
filinto "Work";
if header :is "subject" { stop; }
