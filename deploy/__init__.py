"""What installs the site on a host, shows it as a demo, and releases it."""
