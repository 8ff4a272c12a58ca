"""Players without a platform: a secret that this server made, and their device keeps."""
