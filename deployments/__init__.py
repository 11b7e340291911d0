"""How Quledger is started: the services, the command line and the deployments."""
