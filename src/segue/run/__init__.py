"""What starts and holds an app server: gate, launcher, processes."""
