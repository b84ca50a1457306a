"""Evidence: what the components of a cluster themselves leave behind, read into typed facts."""
