"""MongoDB, in the collections of sqooler's provider."""
