/// The version of the program, as the changelog counts it.
public let programVersion = "0.2.0"
