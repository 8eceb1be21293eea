"""What people touch: the command line, the server, the worker. The only place that wires core and storage together."""
