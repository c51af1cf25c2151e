require ["ihave", "fileinto"];
fileinto "Work"; error "no more";
