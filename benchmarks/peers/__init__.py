"""What a deploy costs, by segue and by its peers: same app, same load, one run."""
