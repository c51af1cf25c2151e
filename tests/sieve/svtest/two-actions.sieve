require ["fileinto", "copy"];
redirect "lee@example.net";
fileinto "Work";
