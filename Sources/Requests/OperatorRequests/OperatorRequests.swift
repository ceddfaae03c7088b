/// The operator door: what changes the data directory of a running server, asked over a Unix socket in it.
public enum OperatorRequests {}
