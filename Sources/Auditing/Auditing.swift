/// What an auditor does with a log: verify it, sign its head, hand it out.
public enum Auditing {}
