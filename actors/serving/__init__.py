"""Ray Serve deployments of the endpoint."""
